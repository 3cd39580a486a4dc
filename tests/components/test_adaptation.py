"""Eqs. 26-33, each against a naive version of itself or PyTorch's own."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from llm4rec_recbole.components.adaptation.equations import (
    combined_loss,
    dislike_loss,
    ewc_penalty,
    feedback_weights,
    fisher_diagonal,
    gradient_importance,
    importance_threshold,
    learning_rate,
    momentum_velocity,
    normalised_entropy,
    reliability,
    select_entries,
    selected,
    sgd_step,
)


def test_eq26_eq27_sgd_with_momentum():
    """Three steps, against a loop over numbers and torch.optim.SGD."""
    torch.manual_seed(0)
    start, gradients = torch.randn(5).double(), torch.randn(3, 5).double()
    ours, velocity = start.clone(), torch.zeros(5).double()
    naive, naive_velocity = start.tolist(), [0.0] * 5
    theirs = start.clone().requires_grad_()
    optimizer = torch.optim.SGD([theirs], lr=0.1, momentum=0.8)
    for gradient in gradients:
        velocity = momentum_velocity(velocity, gradient, 0.8)
        ours = sgd_step(ours, velocity, 0.1)
        for j in range(5):
            naive_velocity[j] = 0.8 * naive_velocity[j] + gradient[j].item()
            naive[j] -= 0.1 * naive_velocity[j]
        theirs.grad = gradient.clone()
        optimizer.step()
    np.testing.assert_allclose(ours, naive)
    torch.testing.assert_close(ours, theirs.detach())


def test_eq28_learning_rate():
    assert learning_rate(0.1, 2.0, 0.7) == pytest.approx(0.1 * math.e**-1.4)
    assert learning_rate(0.1, 2.0, 0.0) == learning_rate(0.1, 0.0, 0.7) == 0.1


@pytest.mark.parametrize("p", [1e-6, 0.01, 0.1, 0.7])
def test_a_dislike_is_a_loss_over_two_answers(p):
    log_p = torch.tensor(math.log(p), dtype=torch.float64, requires_grad=True)
    loss = dislike_loss(log_p, 10)
    uniform_share = 0.1 / (p + 0.1)  # posterior that a uniform draw made it, not P
    assert loss.item() == pytest.approx(-math.log(uniform_share))
    loss.backward()
    assert log_p.grad.item() == pytest.approx(1 - uniform_share)
    assert dislike_loss(torch.tensor(math.log(0.1)), 10).item() == pytest.approx(math.log(2))


def test_entropy_is_normalised():
    logits = torch.tensor([[0.0, 0.0, 0.0], [9e9, 0.0, 0.0], [0.0, 1.0, -torch.inf]])
    p = np.exp([0, 1]) / np.exp([0, 1]).sum()
    expected = [1, 0, -(p * np.log(p)).sum() / np.log(3)]
    assert normalised_entropy(logits).tolist() == pytest.approx(expected, abs=1e-6)


def test_eq29_gradient_importance():
    gradient = np.random.default_rng(0).normal(size=(3, 4))
    expected = np.exp(abs(gradient)) / np.exp(abs(gradient)).sum()
    np.testing.assert_allclose(gradient_importance(torch.from_numpy(gradient)), expected)


def test_eq30_selected():
    importance = torch.tensor([0.5, 0.2, 0.3])
    assert selected(importance, 0.25).tolist() == [True, False, True]
    assert selected(importance, importance[2].item()).tolist() == [True, False, False]


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 1.0])
def test_the_threshold_lets_the_share_pass(share):
    importance = gradient_importance(torch.randn(37, 11).double())
    passed = selected(importance, importance_threshold(importance, share))
    assert passed.sum() == math.ceil(share * 37 * 11)


def test_over_a_million_entries_a_fixed_threshold_fails_and_the_quantile_selects():
    torch.manual_seed(0)
    gradient = 1e-3 * torch.randn(1_000_000)
    importance = gradient_importance(gradient)
    assert importance.max() / importance.min() < 1.01  # nearly uniform, as said
    assert len(torch.softmax(gradient.abs(), 0).unique()) < 100_000  # float32 cannot tell apart
    for fixed in (1e-3, 1e-5):
        assert not selected(importance, fixed).any()
    assert selected(importance, 1e-7).all()
    passed = selected(importance, importance_threshold(importance, 0.05))
    assert passed.sum() == 50_000
    assert gradient[passed].abs().min() >= gradient[~passed].abs().max()
    assert torch.equal(passed, select_entries(gradient, 0.05))


@given(
    st.lists(st.sampled_from([-2.0, -0.5, -1e-6, 1e-6, 0.5, 2.0]), min_size=1, max_size=30),
    st.floats(0.01, 1),
)
def test_selecting_by_size_is_selecting_by_softmax(values, share):
    gradient = torch.tensor(values, dtype=torch.float64)
    importance = gradient_importance(gradient)
    passed = selected(importance, importance_threshold(importance, share))
    assert torch.equal(select_entries(gradient, share), passed)
    assert passed.any()


def test_only_entries_with_a_gradient_are_counted():
    """A table of 1000 rows, of which an event touches one."""
    gradient = torch.zeros(1000, 10)
    gradient[7] = torch.arange(1.0, 11.0)
    chosen = select_entries(gradient, 0.3)
    assert chosen.nonzero().tolist() == [[7, 7], [7, 8], [7, 9]]
    assert not select_entries(torch.zeros(4), 0.5).any()


def test_eq31_combined_loss():
    losses = (torch.tensor(2.0), torch.tensor(3.0), torch.tensor(5.0))
    assert combined_loss(*losses, (0.25, 0.75), 0.1).item() == pytest.approx(0.5 + 2.25 + 0.5)


@pytest.mark.parametrize(("explicit", "implicit"), [(0.8, 0.2), (0.1, 0.1), (1.0, 0.05)])
def test_eq32_feedback_weights(explicit, implicit):
    alpha, beta = feedback_weights(explicit, implicit)
    assert alpha / beta == pytest.approx(explicit / implicit)
    assert alpha + beta == pytest.approx(1)


def test_reliability_is_0_to_1_and_never_nothing():
    baseline = math.log(2)
    assert reliability(0.0, baseline) == 1
    assert reliability(baseline / 2, baseline) == pytest.approx(0.5)
    assert reliability(baseline, baseline) == reliability(9.0, baseline) == 0.05


def test_eq33_ewc_penalty():
    random = np.random.default_rng(0)
    shapes = {"a": (2, 3), "b": (4,)}
    p, anchor, fisher = ({n: random.random(s) for n, s in shapes.items()} for _ in range(3))
    expected = 0.0
    for name in shapes:
        for j in np.ndindex(shapes[name]):
            expected += 0.7 / 2 * fisher[name][j] * (p[name][j] - anchor[name][j]) ** 2
    tensors = [
        {n: torch.from_numpy(x) for n, x in arrays.items()} for arrays in (p, anchor, fisher)
    ]
    assert ewc_penalty(*tensors, 0.7).item() == pytest.approx(expected)


def test_eq33_gradients():
    torch.manual_seed(0)
    p = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    anchor, fisher = torch.randn(2, 3).double(), torch.rand(2, 3).double()
    assert torch.autograd.gradcheck(
        lambda x: ewc_penalty({"w": x}, {"w": anchor}, {"w": fisher}, 0.7), p
    )


def test_the_fisher_of_a_logistic_model_is_the_known_one():
    torch.manual_seed(0)
    model = nn.Linear(3, 1).double()
    x = torch.randn(20, 3).double()
    y = torch.randint(0, 2, (20,)).double()

    def loss(k):
        return nn.functional.binary_cross_entropy_with_logits(model(x[k])[0], y[k])

    fisher = fisher_diagonal(model, loss, range(20))
    error = torch.sigmoid(model(x)[:, 0]).detach() - y  # the score of example k is error · x
    torch.testing.assert_close(fisher["weight"][0], (error[:, None] * x).square().mean(0))
    torch.testing.assert_close(fisher["bias"][0], error.square().mean())
    assert model.weight.grad is None


def test_frozen_and_unused_parameters_have_no_or_no_known_fisher():
    model = nn.ModuleDict({"used": nn.Linear(1, 1), "unused": nn.Linear(1, 1)})
    model["used"].bias.requires_grad_(False)
    fisher = fisher_diagonal(model, lambda x: model["used"](x).sum(), [torch.ones(1)])
    assert set(fisher) == {"used.weight", "unused.weight", "unused.bias"}
    assert fisher["unused.weight"].item() == 0
    with pytest.raises(ValueError, match="at least one example"):
        fisher_diagonal(model, lambda x: x, [])
