"""The losses over sampled negatives: against naive twins, and the laws that they obey."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llm4rec_recbole.training.losses import (
    FULL_UP_TO,
    SampledLoss,
    catalogue_loss,
    full_cross_entropy,
    gbce,
    gbce_power,
    rows_in_a_chunk,
    sampled_cross_entropy,
)

N_ITEMS, D = 9, 4
OPTIONS = {
    "loss": "sampled",
    "num_negatives": 5,
    "negatives": "uniform",
    "gbce_calibration": 0.75,
    "sce_scale": 100.0,
}


def tensors(seed: int, n: int = 6) -> tuple[torch.Tensor, ...]:
    """States (n, D), item vectors, biases, targets (n,) and weights (n,), float64."""
    random = torch.Generator().manual_seed(seed)
    states = torch.randn(n, D, dtype=torch.float64, generator=random)
    weight = torch.randn(N_ITEMS, D, dtype=torch.float64, generator=random)
    bias = torch.randn(N_ITEMS, dtype=torch.float64, generator=random)
    targets = torch.randint(1, N_ITEMS, (n,), generator=random)
    return states, weight, bias, targets, torch.rand(n, dtype=torch.float64, generator=random)


def naive_softmax(states, weight, bias, targets, row_weights, negatives, log_counts) -> float:
    """The definition, target by target, in NumPy."""
    total = 0.0
    for x, target, share in zip(states, targets, row_weights):
        positive = x @ weight[target] + bias[target]
        terms = [math.exp(positive)]
        for item, log_count in zip(negatives, log_counts):
            if item != target:
                terms.append(math.exp(x @ weight[item] + bias[item] + log_count))
        total += share * (math.log(sum(terms)) - positive)
    return total / row_weights.sum()


def naive_gbce(states, weight, bias, targets, row_weights, negatives, beta) -> float:
    def sigmoid(score: float) -> float:
        return 1 / (1 + math.exp(-score))

    total = 0.0
    for x, target, share in zip(states, targets, row_weights):
        loss = -math.log(sigmoid(x @ weight[target] + bias[target]) ** beta)
        for item in negatives:
            if item != target:
                loss -= math.log(1 - sigmoid(x @ weight[item] + bias[item]))
        total += share * loss / (len(negatives) + 1)
    return total / row_weights.sum()


seeds = st.integers(0, 10_000)
drawn = st.lists(st.integers(1, N_ITEMS - 1), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(seeds, drawn)
def test_the_sampled_softmax_is_the_naive_one(seed: int, items: list[int]) -> None:
    states, weight, bias, targets, row_weights = tensors(seed)
    negatives = torch.tensor(items)
    log_counts = torch.linspace(-1, 2, len(items), dtype=torch.float64)
    loss = sampled_cross_entropy(states, weight, targets, negatives, log_counts, bias, row_weights)
    arrays = [
        t.numpy() for t in (states, weight, bias, targets, row_weights, negatives, log_counts)
    ]
    assert loss.item() == pytest.approx(naive_softmax(*arrays), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(seeds, drawn, st.floats(0.01, 1))
def test_gbce_is_the_naive_one(seed: int, items: list[int], beta: float) -> None:
    states, weight, bias, targets, row_weights = tensors(seed)
    negatives = torch.tensor(items)
    loss = gbce(states, weight, targets, negatives, beta, bias, row_weights)
    arrays = [t.numpy() for t in (states, weight, bias, targets, row_weights, negatives)]
    assert loss.item() == pytest.approx(naive_gbce(*arrays, beta), rel=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
def test_gradients_of_the_sampled_softmax(with_bias: bool, weighted: bool) -> None:
    states, weight, bias, targets, row_weights = tensors(1)
    negatives = torch.tensor([3, 3, 5, 1, 8])  # one twice, and some are targets
    assert set(negatives.tolist()) & set(targets.tolist())
    log_counts = torch.linspace(-1, 1, 5, dtype=torch.float64)

    def loss(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return 3 * sampled_cross_entropy(
            states,
            weight,
            targets,
            negatives,
            log_counts,
            bias if with_bias else None,
            row_weights if weighted else None,
        )

    inputs = [t.requires_grad_() for t in (states, weight, bias)]
    assert torch.autograd.gradcheck(loss, inputs)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_with_all_items_as_negatives_it_is_the_full_softmax(seed: int) -> None:
    """The full softmax counts the pad too, so the pad's bias is −∞ here."""
    states, weight, bias, targets, row_weights = tensors(seed)
    bias[0] = -torch.inf
    every = torch.arange(1, N_ITEMS)
    sampled = sampled_cross_entropy(
        states, weight, targets, every, torch.zeros(len(every)), bias, row_weights
    )
    torch.testing.assert_close(
        sampled, full_cross_entropy(states, weight, targets, bias, row_weights)
    )


def test_a_row_whose_negatives_are_all_its_target_has_no_loss() -> None:
    states, weight, _, _, _ = tensors(0, n=1)
    weight.requires_grad_()
    target = torch.tensor([4])
    negatives = torch.tensor([4, 4])
    loss = sampled_cross_entropy(states, weight, target, negatives, torch.zeros(2))
    loss.backward()
    assert loss.item() == 0
    assert weight.grad is not None
    assert not weight.grad.any()


@pytest.mark.parametrize("source", ["uniform", "popularity", "in_batch"])
def test_the_correction_makes_the_expected_sum_that_of_the_catalogue(source: str) -> None:
    """The mean over draws of Σ exp(s⁻ + log_count) is Σ over the items that may be drawn."""
    counts = np.array([0, 30, 1, 5, 9, 2, 40, 8, 5])
    draw = SampledLoss("sampled", OPTIONS | {"negatives": source, "num_negatives": 64}, counts).draw
    torch.manual_seed(0)
    values = torch.rand(N_ITEMS, dtype=torch.float64)
    interactions = torch.from_numpy(np.repeat(np.arange(N_ITEMS), counts))
    sums = []
    for _ in range(4000):
        batch = interactions[torch.randint(len(interactions), (64,))]
        negatives, log_counts = draw(batch)
        assert negatives.min() >= 1
        sums.append((values[negatives] * log_counts.exp()).sum().item())
    error = np.std(sums) / math.sqrt(len(sums))
    assert np.mean(sums) == pytest.approx(values[1:].sum().item(), abs=4 * error)


def test_an_item_without_interactions_can_be_a_popular_negative() -> None:
    counts = np.array([0, 0, 3])
    loss = SampledLoss(
        "sampled", OPTIONS | {"negatives": "popularity", "num_negatives": 400}, counts
    )
    torch.manual_seed(0)
    assert set(loss.draw(torch.tensor([2]))[0].tolist()) == {1, 2}


def test_in_batch_negatives_are_targets_and_at_most_as_many_as_the_option_says() -> None:
    loss = SampledLoss("sampled", OPTIONS | {"negatives": "in_batch"}, np.ones(N_ITEMS, int))
    few, many = torch.tensor([2, 7]), torch.arange(1, 9)
    assert sorted(loss.draw(few)[0].tolist()) == [2, 7]
    negatives = loss.draw(many)[0]
    assert len(negatives) == 5
    assert len(set(negatives.tolist())) == 5


def test_each_negative_of_sce_stands_for_as_many_items_as_its_scale_says() -> None:
    states, weight, bias, targets, _ = tensors(3)
    loss = SampledLoss("sce", OPTIONS | {"sce_scale": 7.0}, np.ones(N_ITEMS, int))
    torch.manual_seed(5)
    scaled = loss(states, weight, targets, bias)
    torch.manual_seed(5)
    negatives, _ = loss.draw(targets)
    log_counts = torch.full((5,), math.log(7.0))
    expected = sampled_cross_entropy(states, weight, targets, negatives, log_counts, bias)
    torch.testing.assert_close(scaled, expected)


def test_the_power_of_gbce_goes_from_one_to_the_share_that_is_sampled() -> None:
    assert gbce_power(10, 1002, 0.0) == pytest.approx(1)
    assert gbce_power(10, 1002, 1.0) == pytest.approx(0.01)
    assert gbce_power(10, 1002, 0.75) == pytest.approx(0.25 + 0.75 * 0.01)
    assert gbce_power(2000, 1002, 0.75) == 1  # more negatives than items


def test_calibrated_probabilities_are_the_shares_of_the_targets() -> None:
    """At t = 1 the best score of an item is the logit of its probability (RecSys 2023, Th. 5.1)."""
    n, m = 6, 2
    shares = torch.tensor([0.0, 0.5, 0.25, 0.15, 0.1, 0.0], dtype=torch.float64)
    beta = gbce_power(m, n, 1.0)
    # One state; the expectation over targets and negatives in closed form: an item is a negative
    # of another target with probability m / (n − 2).
    scores = torch.zeros(n, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], max_iter=200)
    alpha = m / (n - 2)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        positive = beta * torch.nn.functional.logsigmoid(scores)
        negative = alpha * torch.nn.functional.logsigmoid(-scores)
        loss = -(shares * positive + (1 - shares) * negative)[1:5].sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    torch.testing.assert_close(scores.sigmoid()[1:5], shares[1:5], atol=1e-4, rtol=0)


def test_the_default_goes_by_the_size_of_the_catalogue() -> None:
    def data(n_items: int) -> Any:
        items = torch.arange(1, n_items)
        return SimpleNamespace(item_num=n_items, iid_field="item", inter_feat={"item": items})

    for name in (None, "auto"):
        assert catalogue_loss(OPTIONS | {"loss": name}, data(FULL_UP_TO)) is full_cross_entropy
        sampled = catalogue_loss(OPTIONS | {"loss": name}, data(FULL_UP_TO + 1))
        assert isinstance(sampled, SampledLoss)
        assert sampled.name == "sampled"
    assert catalogue_loss({"loss": "full"}, None) is full_cross_entropy


@pytest.mark.parametrize(
    ("n_items", "rows"), [(1683, 311), (12_102, 43), (59_047, 64), (1_600_000, 64)]
)
def test_chunks_of_small_catalogues_are_as_before_and_large_ones_have_64_rows(
    n_items: int, rows: int
) -> None:
    assert rows_in_a_chunk(n_items, on_gpu=False) == rows
    assert rows_in_a_chunk(n_items, on_gpu=True) >= max(rows, 64)
