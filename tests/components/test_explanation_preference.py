"""Eqs. (19) and (20) against loops, and what an item without aspects is worth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from llm4rec_recbole.components.explanation.aspects import (
    AspectPreference,
    aspect_distribution,
    explanation_log_probability,
    item_given_aspects,
    ranking_score,
    taste_of_history,
)
from llm4rec_recbole.errors import InputError

RANDOM = np.random.default_rng(0)
# Items 0 (the pad) and 5 have no aspect; aspect 0 is of items 1, 2 and 4, aspect 2 of item 3 alone.
ASPECTS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 1, 0], [0, 0, 0]], dtype=float)
D, USERS = 4, 2


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum()


def naive_probability(p: np.ndarray, item: int) -> float:
    product = 1.0
    for k in range(ASPECTS.shape[1]):
        if ASPECTS[item, k]:
            product *= p[k] * (1 / ASPECTS[:, k].sum())
    return product


def preference() -> tuple[AspectPreference, torch.Tensor]:
    torch.manual_seed(0)
    return AspectPreference(D, torch.from_numpy(ASPECTS)), torch.randn(USERS, D)


def test_eq19_aspect_distribution() -> None:
    user, weight = RANDOM.normal(size=(2, D)), RANDOM.normal(size=(3, D))
    bias = RANDOM.normal(size=3)
    expected = [softmax(np.array([w @ h + b for w, b in zip(weight, bias)])) for h in user]
    got = aspect_distribution(*map(torch.from_numpy, (user, weight, bias)))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_eq20_explanation_probability() -> None:
    p = np.stack([softmax(RANDOM.normal(size=3)) for _ in range(USERS)])
    expected = [[naive_probability(row, item) for item in range(len(ASPECTS))] for row in p]
    aspects = torch.from_numpy(ASPECTS)
    got = explanation_log_probability(
        torch.from_numpy(np.log(p)), aspects, item_given_aspects(aspects)
    )
    np.testing.assert_allclose(got.exp(), expected, rtol=1e-12)


def test_eq20_an_items_share_of_an_aspect_goes_by_its_weight() -> None:
    weighted = ASPECTS.copy()
    weighted[1, 0] = 3.0  # of 5 in all
    got = item_given_aspects(torch.from_numpy(weighted))
    np.testing.assert_allclose(got[[0, 1, 2]], [0.0, np.log(3 / 5), np.log(1 / 5) + np.log(1 / 3)])


def test_the_ranking_term_is_the_log_of_the_geometric_mean() -> None:
    module, user = preference()
    p, score = module(user)
    torch.testing.assert_close(
        p, aspect_distribution(user, module.project.weight, module.project.bias)
    )
    for u in range(USERS):
        for item in (1, 2, 3, 4):
            probability = naive_probability(p[u].detach().double().numpy(), item)
            expected = np.log(probability) / ASPECTS[item].sum()
            assert score[u, item].item() == pytest.approx(expected, rel=1e-5)


def test_an_item_without_aspects_gets_the_users_mean() -> None:
    module, user = preference()
    _, score = module(user)
    torch.testing.assert_close(score[:, 5], score[:, 1:5].mean(1))
    torch.testing.assert_close(score[:, 0], score[:, 5])


def test_gradients_of_the_ranking_term() -> None:
    module, user = preference()
    module = module.double()
    weight, bias = (p.detach() for p in module.project.parameters())

    def score(*inputs: torch.Tensor) -> torch.Tensor:
        user, weight, bias = inputs
        log_p = (user @ weight.T + bias).log_softmax(-1)
        return ranking_score(log_p, module.named, module.log_item)

    assert gradcheck(score, [x.double().requires_grad_() for x in (user, weight, bias)])


def test_it_learns_which_aspect_a_user_likes() -> None:
    module, user = preference()[0], torch.eye(D)[:USERS]
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    for _ in range(60):  # user 0 chooses item 3, user 1 item 1
        loss = torch.nn.functional.cross_entropy(module(user)[1][:, 1:], torch.tensor([2, 0]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    p, score = module(user)
    assert p[0, 2] > 0.4
    assert p[1, 0] > 0.8
    assert score[:, 1:].argmax(1).tolist() == [2, 0]


def test_the_loss_is_a_mean_over_the_items_that_have_aspects() -> None:
    """Each item's aspects share its weight."""
    module, _ = preference()
    users, items = torch.randn(4, D), [1, 5, 3, 2]
    naive = []
    for user, item in zip(module.project(users).detach().double().numpy(), items):
        if len(own := np.flatnonzero(ASPECTS[item])):
            naive.append(-np.log(softmax(user))[own].mean())
    mean_loss = module.loss(users, torch.tensor(items)).item()
    assert mean_loss == pytest.approx(np.mean(naive), rel=1e-5)
    assert module.loss(users[:1], torch.tensor([5])).item() == 0


def test_the_data_sets_aspects_are_not_in_the_state_dict() -> None:
    assert set(preference()[0].state_dict()) == {"project.weight", "project.bias"}


def test_a_data_set_without_categories_is_refused() -> None:
    for none in (torch.zeros(4, 0), torch.zeros(4, 3)):
        with pytest.raises(InputError, match="no item has a category"):
            AspectPreference(D, none)


def test_taste_is_shares_of_the_history_and_of_the_catalogue_as_one_item() -> None:
    catalogue = np.array([3, 3, 1]) / 7
    expected = (np.array([2, 1, 0]) + catalogue) / 4  # items 1 and 2: aspects 0, 0 and 1
    np.testing.assert_allclose(taste_of_history(np.array([1, 2]), ASPECTS), expected)
