"""Debiasing's groups: those that are asked for, else the first that are known; its parts in the
model's loss and scores."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from llm4rec_recbole.components.debiasing import debiased_loss
from llm4rec_recbole.components.debiasing.debiased_loss import (
    TOLERANCE,
    Debiasing,
    effective_sample_share,
    group_membership,
    item_columns,
    log_likelihood,
    propensity_weights,
    user_columns,
)
from llm4rec_recbole.components.debiasing.fairness import adversary_loss, parity_penalty
from llm4rec_recbole.components.debiasing.propensity import fit_propensity
from llm4rec_recbole.components.fusion.item_content import item_content
from llm4rec_recbole.errors import InputError

GENDER, AGE = np.array([-1, 0, 1, 0]), np.array([-1, 2, 0, 1])  # the pad first


def known(**groups: np.ndarray) -> Any:
    return SimpleNamespace(user_groups=groups, categories=np.array([[0, 0], [1, 1], [0, 1]]))


def test_the_attribute_that_is_named_makes_the_groups() -> None:
    of_users, member = group_membership(known(gender=GENDER, age=AGE), "age")
    assert of_users
    assert member.tolist() == [[0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert group_membership(known(gender=GENDER, age=AGE), None)[1].tolist() == [
        [0, 0], [1, 0], [0, 1], [1, 0]
    ]  # fmt: skip


def test_items_are_shared_out_among_their_categories_where_no_user_is_known() -> None:
    of_users, member = group_membership(known(), None)
    assert not of_users
    assert member.tolist() == [[0, 0], [0.5, 0.5], [0, 1]]


def test_an_attribute_that_is_not_known_is_refused_and_the_known_are_named() -> None:
    with pytest.raises(InputError, match=r"fairness_groups is age, .*it has gender"):
        group_membership(known(gender=GENDER), "age")


def world(with_users: bool) -> Any:
    """Nine users, seven items, of which the later ones were had more often."""
    random = np.random.default_rng(0)
    users, items = np.nonzero(random.random((10, 8)) < np.linspace(0.2, 0.9, 8))
    there = (users > 0) & (items > 0)
    categories = np.zeros((8, 2), dtype=bool)
    categories[1:, 0], categories[4:, 1] = True, True
    years = np.stack([np.arange(8.0), np.where(np.arange(8) % 3, 1950 + np.arange(8), np.nan)], 1)
    return SimpleNamespace(
        users=users[there],
        items=items[there],
        times=random.random(there.sum()),
        dated=True,
        content=item_content(random.random((8, 3)), categories, years, np.arange(8) > 0),
        n_users=10,
        n_items=8,
        counts=np.bincount(items[there], minlength=8),
        user_groups={"gender": np.array([-1, 0, 1, 0, 1, 1, 0, -1, 0, 1])} if with_users else {},
        categories=categories,
    )


def debiasing(with_users: bool = True, **options: Any) -> Debiasing:
    torch.manual_seed(0)
    given = {
        "popularity_strata": 3,
        "backdoor_weight": 0.3,
        "ips_clip_quantile": 0.25,
        "fairness_weight": 0.7,
    }
    return Debiasing(world(with_users), 4, given | {"fairness_groups": None} | options)


def test_the_ranking_mixes_what_was_observed_with_the_intervention() -> None:
    made, states, table = debiasing(), torch.randn(5, 4), torch.randn(8, 4)
    torch.nn.init.normal_(made.stratified.scale)
    torch.nn.init.normal_(made.stratified.reason.weight)
    observed = made.stratified(states, table, made.strata[-1]).log_softmax(1)
    intervened = made.stratified.intervene(states, table)
    assert not torch.allclose(observed, intervened)
    torch.testing.assert_close(made.scores(states, table), 0.7 * observed + 0.3 * intervened)
    made.backdoor_weight = 0.0
    torch.testing.assert_close(made.scores(states, table), observed)
    made.backdoor_weight = 1.0
    torch.testing.assert_close(made.scores(states, table), intervened)


def test_propensities_are_clipped_at_their_quantile() -> None:
    of = world(True)
    columns = {"user_features": user_columns(of), "item_features": item_columns(of)}
    model = fit_propensity(of.users, of.items, of.n_users, of.n_items, **columns)
    pairs = zip(of.users.tolist(), of.items.tolist())
    e = np.array([model(torch.tensor(u), torch.tensor(i)).item() for u, i in pairs])
    naive = 1 / np.maximum(e, np.quantile(e, 0.25))
    np.testing.assert_allclose(propensity_weights(of, 0.25).numpy(), naive, rtol=1e-5)


def test_a_propensity_reads_groups_categories_years_and_texts() -> None:
    of = world(True)
    gender = of.user_groups["gender"]
    assert (user_columns(of) == np.stack([gender == 0, gender == 1], 1)).all()
    assert user_columns(world(False)).shape == (10, 0)
    columns = item_columns(of)
    assert columns.shape == (8, 2 + 2 + 3)  # categories; the year, and whether it is known; text
    assert {tuple(row) for row in columns[:, :2]} == {(0, 0), (1, 0), (1, 1)}
    assert columns[:, 3].tolist() == [0, 1, 1, 0, 1, 1, 0, 1]


def test_the_effective_sample_is_that_of_equal_weights_at_most() -> None:
    assert effective_sample_share(torch.full((7,), 3.0)) == pytest.approx(1)
    assert effective_sample_share(torch.tensor([1.0, 0.0, 0.0, 0.0])) == pytest.approx(1 / 4)
    assert effective_sample_share(torch.zeros(0)) == 1
    assert debiasing().effective_sample_share < 1
    equal = debiasing(ips_clip_quantile=1.0)
    assert equal.effective_sample_share == pytest.approx(1)


def test_a_targets_strata_are_those_of_its_time() -> None:
    made, states, table = debiasing(), torch.randn(5, 4), torch.randn(8, 4)
    torch.nn.init.normal_(made.stratified.scale)
    torch.nn.init.normal_(made.stratified.reason.weight)
    assert len(made.strata) == 4
    rows = torch.tensor([0, 7, 3, 11, 2])
    left, right = made.factors(states, table, rows)
    expected = made.stratified(states, table, made.strata[made.periods[rows]])
    torch.testing.assert_close(left @ right.T, expected)


@pytest.mark.parametrize("with_users", [True, False])
def test_fairness_is_the_adversarys_loss_and_the_parity_penalty(with_users: bool) -> None:
    made = debiasing(with_users)
    scores = torch.tensor([-9.0, -8.0, -7.5, -7.0, -3.0, -2.0, -1.0, -0.5])
    users, items = torch.tensor([1, 3, 6, 7, 2, 4, 5, 7]), torch.tensor([5, 6, 7, 4, 1, 2, 3, 1])
    member = made.membership[users if with_users else items]
    groups = [row.argmax().item() if row.any() else -1 for row in member]
    penalty = parity_penalty(
        scores, torch.tensor(groups), scores.median(), TOLERANCE, scores.std().item()
    )
    expected = adversary_loss(made.adversary(scores[:, None]), member) + penalty
    torch.testing.assert_close(made.unfairness(scores, users, items), expected)
    assert (penalty > 0) == with_users  # all items share their first category


def test_fairness_is_of_the_targets_and_of_every_nth_where_they_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, states, table, bias = debiasing(), torch.randn(6, 4), torch.randn(8, 4), torch.randn(8)
    users, targets = torch.tensor([1, 2, 3, 4, 5, 6]), torch.tensor([1, 2, 3, 4, 5, 6])
    for logits, least, nth in ((48, 1, 1), (24, 1, 2), (1, 1, 6), (1, 3, 2)):
        monkeypatch.setattr(debiased_loss, "FAIRNESS_LOGITS", logits)
        monkeypatch.setattr(debiased_loss, "MIN_FAIRNESS_TARGETS", least)
        likelihood = log_likelihood(states[::nth], table, bias, targets[::nth])
        expected = made.unfairness(likelihood, users[::nth], targets[::nth])
        loss = made.fairness_loss(states, table, bias, targets, users, targets)
        torch.testing.assert_close(loss, expected)
        assert torch.isfinite(loss)  # one target has no deviation
    made.fairness_weight = 0.0
    assert made.fairness_loss(states, table, bias, targets, users, targets) == 0
