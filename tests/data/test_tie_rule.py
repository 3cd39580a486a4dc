from __future__ import annotations

import numpy as np
import pytest

from benchmarks.studies.tie_breaking import ease, measure, pop, quality, split_in_order, table
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.data.splits import Log, leave_one_out
from llm4rec_recbole.datasets.prepare import Interactions


def small_log(seed: int = 0, n: int = 400) -> Interactions:
    rng = np.random.default_rng(seed)
    users, items = rng.integers(1, 21, n), rng.integers(1, 31, n)
    _, first = np.unique(users * 100 + items, return_index=True)
    tokens = np.arange(31).astype(str).astype(object)
    return Interactions(
        users[first], items[first], rng.integers(0, 9, len(first)), tokens[:21], tokens
    )


def held_out() -> HeldOut:
    return HeldOut(
        users=np.array([1, 2]),
        targets=np.array([3, 1]),
        indptr=np.array([0, 2, 3]),
        items=np.array([1, 2, 3]),
        times=np.array([1, 2, 1]),
        n_items=4,
    )


def test_reversed_rows_break_ties_the_other_way():
    log = Interactions(
        np.array([1, 1, 1, 1]),
        np.array([5, 6, 7, 8]),
        np.array([1, 9, 9, 9]),
        np.array(["[PAD]", "u"]),
        np.arange(9).astype(str),
    )
    assert split_in_order(log, np.arange(4)).test.targets.tolist() == [8]
    reverse = split_in_order(log, np.arange(4)[::-1])
    assert reverse.test.targets.tolist() == [6]
    assert reverse.valid.targets.tolist() == [7]
    assert reverse.train.tolist() == [0, 3]  # row numbers of the file as it is


@pytest.mark.parametrize("seed", range(3))
def test_an_order_moves_only_users_with_a_tie(seed):
    log = small_log(seed)
    as_is = leave_one_out(Log(log.users, log.items, log.times)).test
    other = split_in_order(log, np.random.default_rng(seed).permutation(len(log.users))).test
    for row in np.flatnonzero(as_is.targets != other.targets):
        own = log.times[log.users == as_is.users[row]]
        assert (own == own.max()).sum() > 1


def test_pop_counts_training_interactions():
    train = np.array([[0, 1, 1, 0], [0, 0, 1, 0]])
    assert pop(train, held_out()).tolist() == [[0, 1, 2, 0]] * 2


def test_ease_is_the_ridge_regression_of_each_item_on_the_others():
    """Column j of B solves min |x_j − X b|² + 200 |b|² with b_j = 0: one least squares for each."""
    train = np.random.default_rng(0).integers(0, 2, (50, 4)).astype(float)
    weights = np.zeros((4, 4))
    for j in range(4):
        others = [i for i in range(4) if i != j]
        x = train[:, others]
        weights[others, j] = np.linalg.solve(x.T @ x + 200 * np.eye(3), x.T @ train[:, j])
    expected = np.array([weights[1] + weights[2], weights[3]])
    np.testing.assert_allclose(ease(train, held_out()), expected, atol=1e-12)
    expected = np.array([0.5 * weights[1] + weights[2], weights[3]])  # item 2 is the latest
    np.testing.assert_allclose(ease(train, held_out(), decay=0.5), expected, atol=1e-12)


def test_the_table_has_a_line_for_each_rule():
    lines = table(measure(small_log(), draws=3)).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        "file order",
        "reverse file order",
        "random",
    ]
    assert lines[2].split("|")[2].strip() == "0 users"
    assert lines[4].count("±") == 6


def test_ml_100k_by_file_order_has_the_known_quality(ml_100k):
    """docs/data.md: Pop .086 / .044 and EASE with history 0.9^age .188 / .101, λ = 200."""
    split = split_in_order(ml_100k, np.arange(len(ml_100k.users)))
    measured = quality(ml_100k, split)
    np.testing.assert_allclose(measured["Pop"], (0.086, 0.044), atol=5e-4)
    np.testing.assert_allclose(measured["RecencyEASE"], (0.188, 0.101), atol=5e-4)
