"""Debiasing in EnhancedGenRec: weights of the targets, the adversary, excluded items."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from llm4rec_recbole.components.debiasing.debiased_loss import log_likelihood
from llm4rec_recbole.components.training_features import training_features
from llm4rec_recbole.training.experiment import prepare


def test_fairness_is_of_probabilities() -> None:
    """What a user adds to the scores of all items changes no r̂."""
    torch.manual_seed(0)
    states, items, bias = torch.randn(4, 3), torch.randn(7, 3), torch.randn(7)
    targets = torch.tensor([1, 2, 3, 6])
    likely = log_likelihood(states, items, bias, targets)
    expected = (states @ items.T + bias).softmax(1).log()[torch.arange(4), targets]
    torch.testing.assert_close(likely, expected)
    more, one = torch.randn(4, 1), torch.ones(7, 1)
    shifted = log_likelihood(
        torch.cat([states, more], 1), torch.cat([items, one], 1), bias, targets
    )
    torch.testing.assert_close(shifted, likely)


def test_items_that_training_never_shows_can_be_left_out_of_the_loss(
    described: dict[str, Any],
) -> None:
    for negatives in (True, False):
        options = described | {"components": ["debiasing"], "cold_items_as_negatives": negatives}
        model = (run_ := prepare("EnhancedGenRec", "two_cycles", options=options)).model
        if not negatives:
            model.excluded_items[7] = True
        (batch, *_) = run_.data.train
        batch = batch[(batch[model.POS_ITEM_ID] != 7).all(1)]
        model.calculate_loss(batch).backward()
        assert (model.item_bias.grad[7] == 0) != negatives


def test_fairness_adds_an_adversary_to_the_loss(described: dict[str, Any]) -> None:
    losses = []
    for fairness in (0.0, 1.0):
        options = described | {"components": ["debiasing"], "fairness_weight": fairness}
        run_ = prepare("EnhancedGenRec", "two_cycles", options=options)
        batch = next(iter(run_.data.train))
        losses.append(run_.model.eval().calculate_loss(batch).item())
    assert losses[1] > losses[0]


def test_each_target_weighs_what_its_own_interaction_does(
    described: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every interaction's item for its weight, the weights are the targets."""
    run_ = prepare(
        "EnhancedGenRec", "two_cycles", options=described | {"components": ["debiasing"]}
    )
    features = training_features(run_.config, run_.data.train.dataset)
    run_.model.debiasing.ips_weights = torch.from_numpy(features.items).float()
    seen = []

    def record(states: Any, table: Any, targets: Any, bias: Any, weights: Any) -> torch.Tensor:
        seen.append((targets, weights))
        return states.sum()

    monkeypatch.setattr(run_.model, "loss", record)
    for batch in run_.data.train:
        run_.model.calculate_loss(batch)
    assert seen
    assert all(torch.equal(targets.float(), weights) for targets, weights in seen)
