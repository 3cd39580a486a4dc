"""The adversary finds the group, the reversed gradient hides it, and parity is measured."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from llm4rec_recbole.components.debiasing.fairness import (
    GroupAdversary,
    adversary_loss,
    demographic_parity_gap,
    exceedance,
    fair_loss,
    parity_penalty,
    reverse_gradient,
    soft_parity_gap,
    threshold_at_share,
)


def test_reversal_keeps_the_value_and_negates_the_gradient():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse_gradient(x)
    assert torch.equal(y, x)
    (y * torch.tensor([3.0, 5.0])).sum().backward()
    assert x.grad.tolist() == [-3.0, -5.0]


def test_eq17_adversary_loss():
    random = np.random.default_rng(0)
    logits, membership = random.normal(size=(6, 3)), random.dirichlet(np.ones(3), size=6)
    membership[2] = 0  # unknown
    total = 0.0
    for row, shares in zip(logits, membership):
        probabilities = np.exp(row) / np.exp(row).sum()
        total -= sum(share * np.log(p) for share, p in zip(shares, probabilities))
    loss = adversary_loss(torch.from_numpy(logits), torch.from_numpy(membership))
    assert loss.item() == pytest.approx(total / 5)


def test_eq17_is_the_cross_entropy_of_users_own_groups():
    logits, groups = torch.randn(8, 3), torch.randint(0, 3, (8,))
    loss = adversary_loss(logits, functional.one_hot(groups, 3).float())
    torch.testing.assert_close(loss, functional.cross_entropy(logits, groups))


def test_the_loss_is_0_without_groups():
    assert adversary_loss(torch.randn(4, 2), torch.zeros(4, 2)).item() == 0


def test_eq16_fair_loss():
    """The adversary descends λ L_adv, what it sees ascends it, and L_rec is untouched."""
    torch.manual_seed(0)
    state = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    adversary = GroupAdversary(4, 2).double()
    membership = functional.one_hot(torch.tensor([0, 1, 0, 1, 1]), 2).double()

    def losses(seen):
        return (seen**2).sum(), adversary_loss(adversary(seen), membership)

    weight = adversary.layers[0].weight
    recommendation, against = losses(state)
    assert fair_loss(recommendation, against, 0.3).item() == pytest.approx(
        recommendation.item() + 0.3 * against.item()
    )
    fair = torch.autograd.grad(fair_loss(*losses(state), 0.3), (state, weight))
    straight = adversary_loss(adversary.layers(state), membership)
    plain = torch.autograd.grad(straight, (state, weight))
    torch.testing.assert_close(fair[0], 2 * state - 0.3 * plain[0])
    torch.testing.assert_close(fair[1], 0.3 * plain[1])


def test_a_larger_lambda_closes_more_of_the_gap_and_costs_accuracy():
    """The target is 2 · signal + 3 · group; the adversary sees the score and hunts the group."""
    curve = []
    for fairness in (0.0, 10.0, 40.0):
        torch.manual_seed(0)
        groups, signal = torch.arange(512) % 2, torch.randn(512)
        x = torch.stack([signal, groups - 0.5 + 0.3 * torch.randn(512)], 1)
        model, adversary = nn.Linear(2, 1), GroupAdversary(1, 2, 8)
        optimizer = torch.optim.Adam([*model.parameters(), *adversary.parameters()], lr=0.05)
        membership = functional.one_hot(groups, 2).float()
        for _ in range(200):
            score = model(x)
            error = functional.mse_loss(score[:, 0], 2 * signal + 3 * (groups - 0.5))
            against = adversary_loss(adversary(score), membership)
            optimizer.zero_grad()
            fair_loss(error, against, fairness).backward()
            optimizer.step()
        gap = demographic_parity_gap(score[:, 0], groups, 0.0).item()
        curve.append((gap, error.item()))
    gaps, errors = zip(*curve)
    assert gaps[0] > 0.35
    assert gaps[0] > gaps[1] + 0.1 > gaps[2] + 0.1
    assert gaps[2] < 0.15
    assert errors[0] < errors[1] < errors[2]


def test_eq18_demographic_parity_gap():
    random = np.random.default_rng(0)
    scores, groups = random.normal(size=60), random.integers(-1, 3, 60)
    shares = [np.mean([s > 0.2 for s, g in zip(scores, groups) if g == k]) for k in range(3)]
    expected = max(abs(a - b) for a in shares for b in shares)
    gap = demographic_parity_gap(torch.from_numpy(scores), torch.from_numpy(groups), 0.2)
    assert gap.item() == pytest.approx(expected)
    np.testing.assert_allclose(
        exceedance(torch.from_numpy(scores), torch.from_numpy(groups), 0.2), shares
    )


def test_a_score_at_the_threshold_does_not_exceed_it():
    assert exceedance(torch.tensor([1.0, 2.0]), torch.tensor([0, 0]), 1.0).tolist() == [0.5]


@given(st.lists(st.tuples(st.floats(-3, 3), st.integers(-1, 3)), min_size=1))
def test_the_gap_is_between_0_and_1_and_blind_to_group_names(rows):
    scores = torch.tensor([s for s, _ in rows])
    groups = torch.tensor([g for _, g in rows])
    gap = demographic_parity_gap(scores, groups, 0.0)
    assert 0 <= gap <= 1
    renamed = torch.where(groups >= 0, 7 - groups, groups)
    assert gap == demographic_parity_gap(scores, renamed, 0.0)


@pytest.mark.parametrize("groups", [[1, 1, 1], [-1, -1, -1], [-1, 2, 2]])
def test_one_group_or_none_has_no_gap(groups):
    assert demographic_parity_gap(torch.tensor([0.1, 0.9, 0.5]), torch.tensor(groups), 0.4) == 0


def test_the_surrogate_tends_to_the_gap():
    torch.manual_seed(0)
    scores, groups = torch.randn(200), torch.randint(0, 3, (200,))
    exact = demographic_parity_gap(scores, groups, 0.1)
    off = [abs(soft_parity_gap(scores, groups, 0.1, t) - exact) for t in (1.0, 0.1, 1e-4)]
    assert off[0] > off[1] > off[2]
    assert off[2] < 1e-3


def test_gradients_of_the_penalty():
    torch.manual_seed(0)
    scores = torch.randn(12, dtype=torch.float64, requires_grad=True)
    groups = torch.arange(12) % 3
    assert torch.autograd.gradcheck(lambda s: parity_penalty(s, groups, 0.1, 0.01, 0.5), scores)


def test_training_on_the_penalty_closes_the_gap_to_the_tolerance():
    torch.manual_seed(0)
    groups = torch.arange(400) % 2
    scores = torch.randn(400) + groups
    shift = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([shift], lr=0.05)
    assert demographic_parity_gap(scores, groups, 0.5) > 0.3
    for _ in range(100):
        optimizer.zero_grad()
        parity_penalty(scores + shift[groups], groups, 0.5, 0.02, 0.3).backward()
        optimizer.step()
    assert demographic_parity_gap(scores + shift[groups], groups, 0.5) < 0.06
    assert parity_penalty(scores + shift[groups], groups, 0.5, 0.05, 0.3) == 0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_the_given_share_exceeds_the_threshold(share):
    scores = torch.randperm(1000).float().view(20, 50)
    assert (scores > threshold_at_share(scores, share)).float().mean().item() == pytest.approx(
        share
    )
