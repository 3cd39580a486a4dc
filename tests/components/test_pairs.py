"""Observed pairs: looked up as in a set, and never among those drawn as unobserved."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4rec_recbole.components.debiasing.propensity import ObservedPairs
from llm4rec_recbole.errors import InputError

pair_lists = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 5)), min_size=1)


def observed(pairs, n_users=7, n_items=6):
    return ObservedPairs(*np.array(pairs).T, n_users, n_items)


@given(pair_lists)
def test_contains_what_a_set_contains(pairs):
    every = np.argwhere(np.ones((7, 6)))
    contained = observed(pairs).contains(*every.T)
    assert contained.tolist() == [tuple(pair) in set(pairs) for pair in every]


@given(pair_lists)
def test_counts_are_of_distinct_pairs(pairs):
    seen = observed(pairs)
    assert len(seen) == len(set(pairs)) == 30 - seen.n_unobserved
    assert seen.activity().tolist() == [sum(u == n for u, _ in set(pairs)) for n in range(7)]
    assert seen.popularity().tolist() == [sum(i == n for _, i in set(pairs)) for n in range(6)]


@given(pair_lists, st.integers(0, 9))
def test_drawn_pairs_are_real_and_unobserved(pairs, seed):
    seen = observed(pairs)
    if not seen.n_unobserved:
        return
    users, items = seen.draw_unobserved(50, np.random.default_rng(seed))
    assert not seen.contains(users, items).any()
    assert users.min() >= 1
    assert items.min() >= 1
    assert users.max() < 7
    assert items.max() < 6


@pytest.mark.parametrize("n_seen", [3, 26])  # few seen: by rejection; few left: from a list
def test_every_unobserved_pair_is_as_likely_as_any(n_seen):
    every = np.argwhere(np.ones((6, 5))) + 1
    seen = observed(every[:n_seen])
    users, items = seen.draw_unobserved(40_000, np.random.default_rng(0))
    counts = np.bincount(users * 6 + items)
    counts = counts[counts > 0]
    expected = 40_000 / (30 - n_seen)
    assert len(counts) == 30 - n_seen
    assert ((counts - expected) ** 2 / expected).sum() < 60  # chi-square with at most 26 df


def test_drawing_without_unobserved_pairs_is_refused():
    every = np.argwhere(np.ones((6, 5))) + 1
    with pytest.raises(InputError, match="every user has interacted with every item"):
        observed(every).draw_unobserved(1, np.random.default_rng(0))


@pytest.mark.parametrize("pair", [(0, 1), (1, 0), (7, 1), (1, 6), (-1, 1)])
def test_ids_out_of_range_are_refused(pair):
    with pytest.raises(InputError, match="id lies outside"):
        observed([pair])


def test_an_empty_set_of_pairs_is_refused():
    none = np.zeros(0, dtype=np.int64)
    with pytest.raises(InputError, match="no interactions"):
        ObservedPairs(none, none, 7, 6)
