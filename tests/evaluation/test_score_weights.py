"""The choice of a term's weight, against the ranking code and a known answer."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.evaluation.metrics import ndcg
from llm4rec_recbole.evaluation.ranking import full_ranks
from llm4rec_recbole.evaluation.score_weights import (
    MOST_ROWS,
    WEIGHTS,
    best_weight,
    choose,
    ndcg_at_weights,
    rows_to_choose_by,
)


def held_out(n_rows: int, n_items: int, seed: int = 0) -> HeldOut:
    random = np.random.default_rng(seed)
    items = np.concatenate([random.permutation(n_items - 1)[:3] + 1 for _ in range(n_rows)])
    return HeldOut(
        users=np.arange(1, n_rows + 1),
        targets=random.integers(1, n_items, n_rows),
        indptr=np.arange(n_rows + 1) * 3,
        items=items,
        times=np.arange(len(items)),
        n_items=n_items,
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1.0, 0.5]))
def test_the_ndcg_is_that_of_the_ranking_code(seed: int, step: float) -> None:
    """Scores are multiples of `step`, so many are tied, and sums are exact."""
    random = np.random.default_rng(seed)
    data = held_out(20, 30, seed)
    base, term = step * random.integers(-3, 4, (2, 20, 30))
    base[:, 7] = -np.inf  # an item that is never ranked, but as a target
    data.targets[data.targets == 7] = 8
    seen = data.seen_mask(np.arange(20))
    weights = [0.0, 0.25, 2.0]
    got = ndcg_at_weights(torch.tensor(base), torch.tensor(term), data.targets, seen, weights)
    for weight, value in zip(weights, got):
        ranks = full_ranks(base + weight * term, data.targets, seen.copy())
        np.testing.assert_allclose(value, ndcg(ranks, 10))


def test_a_term_that_knows_the_target_gets_weight_and_noise_gets_none() -> None:
    data = held_out(300, 50)
    random = np.random.default_rng(1)
    useful = np.zeros((300, 50))
    useful[np.arange(300), data.targets] = 1
    base, noise = random.normal(size=(2, 300, 50))
    base[np.arange(300), data.targets] += 2
    assert best_weight(lambda rows: (base[rows], useful[rows]), data) > 0
    assert best_weight(lambda rows: (base[rows], 100 * noise[rows]), data) == 0
    assert best_weight(lambda rows: (base[rows], 0 * noise[rows]), data) == WEIGHTS[0] == 0


def test_at_most_so_many_rows_decide_and_they_are_spread_evenly() -> None:
    class Long:
        def __len__(self) -> int:
            return 10 * MOST_ROWS

    rows = np.concatenate(rows_to_choose_by(Long()))  # type: ignore[arg-type]
    assert len(rows) == MOST_ROWS
    assert set(np.diff(rows)) <= {9, 10, 11}
    few = rows_to_choose_by(held_out(130, 9))
    assert [len(part) for part in few] == [64, 64, 2]


def test_a_candidate_replaces_the_default_only_by_more_than_its_standard_error() -> None:
    default = np.zeros(100)
    clear, lucky = np.full(100, 0.1), np.zeros(100)
    lucky[0] = 1.0  # a mean gain of .01, whose standard error is .00995
    lucky[1] = -0.9
    assert choose(np.array([default, clear])) == 1
    assert choose(np.array([default, lucky])) == 0
    assert choose(np.array([default, lucky, clear])) == 2
    assert choose(np.array([default, default])) == 0


def test_a_default_weight_stays_where_the_gain_is_unclear() -> None:
    """One of 300 rows gains from the term and one loses less: the best weight is above 0."""
    data = held_out(300, 50)
    random = np.random.default_rng(1)
    base, term = random.normal(size=(300, 50)), np.zeros((300, 50))
    base[0, data.targets[0]], base[1, data.targets[1]] = -9, 9
    term[0, data.targets[0]] = 100
    term[1, (data.targets[1] + 1 + np.arange(4)) % 49 + 1] = 100
    free = best_weight(lambda rows: (base[rows], term[rows]), data)
    guarded = best_weight(lambda rows: (base[rows], term[rows]), data, first_by_default=True)
    assert free > 0
    assert guarded == 0
