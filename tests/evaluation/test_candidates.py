from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.evaluation import negatives as module
from llm4rec_recbole.evaluation.negatives import RACE_PAIRS, draw_negatives
from tests.helpers.random_held_out import random_held_out

BOTH_BRANCHES = pytest.mark.parametrize("race_pairs", [RACE_PAIRS, 0], ids=["race", "rejection"])


@BOTH_BRANCHES
@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), n_items=st.integers(3, 60), n=st.integers(1, 70))
def test_negatives_are_distinct_and_neither_seen_nor_the_target_nor_the_pad(
    race_pairs, seed, n_items, n
):
    held_out = random_held_out(seed, n_users=6, n_items=n_items)
    negatives = draw_negatives(held_out, np.ones(n_items), n, seed, race_pairs)
    assert negatives.shape == (6, n)
    for row, drawn in enumerate(negatives):
        left = n_items - held_out.seen_mask(np.array([row])).sum() - 1
        real = drawn[drawn > 0]
        assert len(set(real)) == len(real) == min(n, left)
        assert (drawn[len(real) :] == 0).all()
        assert not held_out.seen_mask(np.array([row]))[0, real].any()
        assert held_out.targets[row] not in real


def test_the_same_seed_draws_the_same_whatever_the_chunk(held_out, monkeypatch):
    weights = np.arange(150.0)
    first = draw_negatives(held_out, weights, 20, seed=7)
    monkeypatch.setattr(module, "_CELLS", 450)
    assert (draw_negatives(held_out, weights, 20, seed=7) == first).all()
    assert (draw_negatives(held_out, weights, 20, seed=8) != first).any()


@BOTH_BRANCHES
def test_the_same_seed_draws_the_same(held_out, race_pairs):
    weights = np.arange(150.0)
    first, second = (draw_negatives(held_out, weights, 20, 7, race_pairs) for _ in range(2))
    assert (first == second).all()


@BOTH_BRANCHES
def test_an_item_of_weight_zero_is_never_drawn(held_out, race_pairs):
    weights = np.zeros(150)
    weights[[5, 9]] = 1
    drawn = draw_negatives(held_out, weights, 3, 0, race_pairs)
    assert set(np.unique(drawn)) == {0, 5, 9}


@BOTH_BRANCHES
def test_draws_follow_the_weights_without_replacement(race_pairs):
    """Two draws from weights 1, 2, 3: P(first = i) = w_i / 6, P(pair) by successive sampling."""
    n = 60_000
    nobody_saw = HeldOut(
        np.arange(n), np.full(n, 4), np.zeros(n + 1, int), np.array([], int), np.array([]), 5
    )
    drawn = draw_negatives(nobody_saw, np.array([0, 1, 2, 3, 9.0]), 2, 1, race_pairs)
    first = np.bincount(drawn[:, 0], minlength=4)[1:] / n
    np.testing.assert_allclose(first, [1 / 6, 2 / 6, 3 / 6], atol=0.01)
    one_then_three = ((drawn == [1, 3]).all(axis=1)).mean()
    assert one_then_three == pytest.approx(1 / 6 * 3 / 5, abs=0.01)


def test_a_race_ends_what_rejection_cannot_find():
    """The user has seen nearly all of the popularity: a draw hits an unseen item once in 10^9."""
    one = HeldOut(*map(np.array, ([1], [2], [0, 1], [1], [0])), n_items=6)
    drawn = draw_negatives(one, np.array([0, 1e9, 1, 1, 1, 1]), 3, seed=0, race_pairs=0)
    assert sorted(drawn[0]) == [3, 4, 5]


@pytest.mark.parametrize("weights", [np.ones(3), np.full(150, -1.0), np.full(150, np.nan)])
def test_bad_weights_are_refused(held_out, weights):
    with pytest.raises(ValueError, match="weights"):
        draw_negatives(held_out, weights, 3, seed=0)


@pytest.mark.parametrize("power", [0.0, 0.7, 3.0])
def test_the_table_of_parts_gives_the_items_of_a_binary_search(power):
    random = np.random.default_rng(0)
    weights = np.append(0.0, random.permutation(np.arange(1, 3000) ** -power))
    rejection = module._Rejection(weights)
    numbers = np.concatenate([random.random(50_000), rejection.edges[:-1], [0.0, 1 - 2**-53]])
    expected = np.searchsorted(rejection.edges, numbers, side="right")
    assert (rejection.items_at(numbers) == expected).all()
