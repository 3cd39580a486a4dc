"""Dropping what is cited against dropping at random: known answers from scorers of known ways."""

from __future__ import annotations

import numpy as np
import pytest

from llm4rec_recbole.analysis.faithfulness import Score, faithfulness
from llm4rec_recbole.errors import InputError

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.random(200)
HISTORIES = [RANDOM.choice(200, size=n, replace=False) for n in RANDOM.integers(8, 30, size=80)]
POPULARITY = RANDOM.permutation(200)
BEST = [history[np.argsort(-WEIGHTS[history])[:3]] for history in HISTORIES]


def sums(users: np.ndarray, histories: list[np.ndarray]) -> np.ndarray:
    """A model that adds up the history's weights, on a scale of each user's own."""
    return np.array([(1 + u) * WEIGHTS[h].sum() for u, h in zip(users, histories)])


def test_cited_items_of_a_sum_make_the_difference_they_should() -> None:
    found = faithfulness(sums, HISTORIES, BEST, POPULARITY, draws=50)
    cited = [(1 + u) * WEIGHTS[own].sum() for u, own in enumerate(BEST)]
    others = [
        (1 + u) * 3 * WEIGHTS[np.setdiff1d(history, own)].mean()
        for u, (history, own) in enumerate(zip(HISTORIES, BEST))
    ]
    assert found.drop_cited == pytest.approx(np.mean(cited))
    assert found.drop_random == pytest.approx(np.mean(others), rel=0.02)
    assert found.difference == pytest.approx(found.drop_cited - found.drop_random)
    assert 0 < found.low < found.difference < found.high
    assert found.p_t < 1e-9
    assert found.p_randomization < 0.001
    assert (found.users, found.left_out, found.share_above) == (80, 0, 1.0)


def test_items_cited_at_random_make_none() -> None:
    cited = [np.random.default_rng(u).choice(h, 3, replace=False) for u, h in enumerate(HISTORIES)]
    found = faithfulness(sums, HISTORIES, cited, POPULARITY, draws=20)
    assert found.low < 0 < found.high
    assert found.p_t > 0.05


def test_popular_items_are_the_harder_control() -> None:
    """Whoever cites the best of a history whose best items are popular cites no more than these."""
    found = faithfulness(sums, HISTORIES, BEST, POPULARITY)
    popular = [
        np.setdiff1d(history, own)[np.argsort(-POPULARITY[np.setdiff1d(history, own)])[:3]]
        for history, own in zip(HISTORIES, BEST)
    ]
    drops = [(1 + u) * WEIGHTS[own].sum() for u, own in enumerate(popular)]
    assert found.drop_popular == pytest.approx(np.mean(drops))
    assert found.difference_popular == pytest.approx(found.drop_cited - found.drop_popular)
    assert 0 < found.low_popular < found.difference_popular < found.high_popular
    second_best = [
        np.setdiff1d(history, own)[np.argsort(-WEIGHTS[np.setdiff1d(history, own)])[:3]]
        for history, own in zip(HISTORIES, BEST)
    ]
    by_weight = faithfulness(sums, HISTORIES, second_best, 1000 * WEIGHTS)
    assert by_weight.high_popular < 0 < by_weight.low  # the best three are popular, and count more


def test_citing_the_least_important_is_found_out() -> None:
    worst = [history[np.argsort(WEIGHTS[history])[:3]] for history in HISTORIES]
    assert faithfulness(sums, HISTORIES, worst, POPULARITY).high < 0


def test_a_model_that_ignores_the_history_has_no_difference() -> None:
    found = faithfulness(lambda users, histories: 1.0 + users, HISTORIES, BEST, POPULARITY)
    assert (found.difference, found.low, found.high, found.effect_size) == (0, 0, 0, 0)
    assert (found.p_t, found.p_randomization, found.share_above) == (1, 1, 0)


def test_who_cites_nothing_or_all_is_left_out_and_counted() -> None:
    cited = [*BEST[:5], HISTORIES[5][:0], HISTORIES[6], HISTORIES[7][: len(HISTORIES[7]) // 2 + 1]]
    found = faithfulness(only_users({0, 1, 2, 3, 4}), HISTORIES[:8], cited, POPULARITY)
    assert (found.users, found.left_out) == (5, 3)


def only_users(allowed: set[int]) -> Score:
    def score(users: np.ndarray, histories: list[np.ndarray]) -> np.ndarray:
        assert set(users.tolist()) == allowed
        return sums(users, histories)

    return score


def test_the_same_seed_gives_the_same_numbers() -> None:
    first, again, other = (
        faithfulness(sums, HISTORIES, BEST, POPULARITY, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_one_user_is_too_few() -> None:
    with pytest.raises(InputError, match="1 of 2 users can be measured"):
        faithfulness(sums, HISTORIES[:2], [BEST[0], BEST[1][:0]], POPULARITY)


def test_what_is_cited_must_be_in_the_history() -> None:
    with pytest.raises(ValueError, match="not in the history"):
        faithfulness(sums, HISTORIES[:2], [BEST[0], np.array([777])], POPULARITY)
