"""Eqs. (7)–(10) against loops, the whole against a naive retriever, and what never is retrieved."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm4rec_recbole.components.retrieval.repository import Snapshots
from llm4rec_recbole.components.retrieval.retriever import (
    DECAY,
    FULL_CREDIT,
    POOL,
    QUERY_LENGTH,
    Queries,
    Retriever,
    _sorted_entries,
    cosine_similarity,
    credibility,
    relevance,
    temporal_relevance,
    top_k,
)

N_USERS, N_ITEMS, LENGTH, D, K = 40, 25, 8, 6, 4
RANDOM = np.random.default_rng(0)
USERS = np.repeat(np.arange(1, N_USERS + 1), LENGTH)
ITEMS = RANDOM.integers(1, N_ITEMS, len(USERS))
TIMES = np.sort(RANDOM.random((N_USERS, LENGTH)), axis=1).ravel() * 1000
VECTORS = RANDOM.normal(size=(N_ITEMS, D)).astype(np.float32)
VECTORS[0] = 0
NOW, WEIGHTS, SIGMA = 600.0, (0.5, 0.3, 0.2), 200.0
HISTORIES = ([3, 8, 2, 9], [5], list(range(1, 20)))


def queries(times: float = NOW, histories: Any = HISTORIES) -> Queries:
    lengths = np.array([len(history) for history in histories])
    n = len(lengths)
    return Queries(
        items=np.concatenate(histories),
        indptr=np.append(0, np.cumsum(lengths)),
        history=np.arange(n),
        seen=lengths,
        users=np.full(n, 1),
        times=np.full(n, times),
    )


def retriever(extra: Any = None, dated: bool = True) -> Retriever:
    users, items, times = USERS, ITEMS, TIMES
    if extra is not None:
        users, items, times = (np.append(a, b) for a, b in zip((users, items, times), extra))
    order = np.lexsort((times, users))
    users, items, times = users[order].astype(int), items[order].astype(int), times[order]
    return Retriever(
        Snapshots(users, items, times if dated else None, VECTORS, 0.1), WEIGHTS, SIGMA
    )


def test_eq07_cosine_similarity() -> None:
    queries, keys = RANDOM.normal(size=(3, D)), RANDOM.normal(size=(4, D))
    keys[1] = 0
    expected = np.zeros((3, 4))
    for b, q in enumerate(queries):
        for e, k in enumerate(keys):
            if k.any():
                dot = sum(x * y for x, y in zip(q, k))
                expected[b, e] = dot / math.sqrt(sum(q * q)) / math.sqrt(sum(k * k))
    np.testing.assert_allclose(cosine_similarity(queries, keys), expected, rtol=1e-12)


def test_eq08_top_k() -> None:
    similarity = np.array([[0.1, 0.9, 0.9, -1.0], [3, 2, 1, 0]])
    np.testing.assert_array_equal(top_k(similarity, 3), [[1, 2, 0], [0, 1, 2]])
    assert top_k(similarity, 9).shape == (2, 4)


def test_eq09_relevance() -> None:
    parts = RANDOM.random((3, 5))
    expected = [0.5 * s + 0.3 * t + 0.2 * c for s, t, c in parts.T]
    np.testing.assert_allclose(relevance(*parts, (0.5, 0.3, 0.2)), expected, rtol=1e-12)


def test_a_term_that_an_entry_lacks_has_no_say() -> None:
    """Neither 0 nor 1: the entry is judged by its other terms."""
    parts = np.array([[0.8, 0.8], [np.nan, 0.1], [0.4, 0.4]])
    got = relevance(*parts, (0.5, 0.3, 0.2))
    np.testing.assert_allclose(got, [(0.4 + 0.08) / 0.7, 0.4 + 0.03 + 0.08])


def test_eq10_temporal_relevance() -> None:
    then = [10.0, 90.0, -np.inf, 100.0]
    expected = [math.exp(-(90.0**2) / 200.0), math.exp(-0.5), np.nan, 1.0]
    got = temporal_relevance(np.array(100.0), np.array(then), 10.0)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_credibility_rises_with_support_and_ends_at_one() -> None:
    counts = np.array([0, 1, 10, 100, 300])
    expected = [min(1, math.log(1 + n) / math.log(1 + FULL_CREDIT)) for n in counts]
    np.testing.assert_allclose(credibility(counts), expected)


def naive(of: Retriever, history: list[int], now: float) -> list[int]:
    snapshot = of.snapshots[int(of.snapshots.numbers(np.array([1]), np.array([now]))[0])]
    similarity = snapshot.similarity.toarray()
    total = np.zeros(N_ITEMS)
    for age, item in enumerate(history[::-1][:QUERY_LENGTH]):
        total += DECAY**age * similarity[item]
    near = [j for j in range(1, N_ITEMS) if j not in history and total[j] > 0]
    near = sorted(near, key=lambda j: (-total[j], j))[: POOL * K]
    scored = []
    for j in near:
        terms = [(0.5, total[j] / total[near[0]])]
        if snapshot.last[j] > -np.inf:
            terms.append((0.3, math.exp(-((now - snapshot.last[j]) ** 2) / (2 * SIGMA**2))))
        credit = min(1, math.log(1 + snapshot.support[j]) / math.log(1 + FULL_CREDIT))
        terms.append((0.2, credit))
        scored.append((sum(w * x for w, x in terms) / sum(w for w, _ in terms), j))
    return [j for _, j in sorted(scored, key=lambda pair: -pair[0])[:K]]


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("now", [0.0, NOW, 2000.0])
def test_the_retriever_is_the_equations_one_after_another(now: float, dated: bool) -> None:
    of = retriever(dated=dated)
    got = of.retrieve(queries(now), K)
    retrieved = 0
    for row, history in zip(got, HISTORIES):
        expected = naive(of, history, now)
        assert row[row > 0].tolist() == expected
        assert (row[len(expected) :] == 0).all()
        retrieved += len(expected)
    assert retrieved


def test_each_query_is_answered_alone() -> None:
    of, together = retriever(), queries()
    got = of.retrieve(together, K)
    for row, history in enumerate(HISTORIES):
        assert (of.retrieve(queries(histories=[history]), K)[0] == got[row]).all()
    prefix = Queries(**(vars(together) | {"seen": np.array([2, 1, 5])}))
    expected = of.retrieve(queries(histories=[[3, 8], [5], [1, 2, 3, 4, 5]]), K)
    assert (of.retrieve(prefix, K) == expected).all()


@pytest.mark.parametrize("at_random", [True, False])
def test_nothing_is_retrieved_that_was_seen(at_random: bool) -> None:
    got = retriever().retrieve(queries(2000.0), K, at_random)
    for row, history in zip(got, HISTORIES):
        assert row.any()
        assert not set(row[row > 0]) & set(history)


@given(st.integers(0, 2**32 - 1), st.floats(NOW, 5000))
@settings(max_examples=25, deadline=None)
def test_a_planted_future_interaction_changes_nothing(seed: int, time: float) -> None:
    """Whoever has it, with whatever item, from the very moment of the query on."""
    random = np.random.default_rng(seed)
    n = random.integers(1, 30)
    later = (random.integers(1, 41, n), random.integers(1, N_ITEMS, n), np.full(n, time))
    for at_random in (False, True):
        before = retriever().retrieve(queries(), K, at_random)
        assert (retriever(later).retrieve(queries(), K, at_random) == before).all()


def test_a_planted_earlier_interaction_is_noticed() -> None:
    """The test above would notice."""
    users = np.repeat(np.arange(100, 160), 2)
    pairs = (users, np.tile([5, 24], 60), np.tile([1.0, 2.0], 60))
    assert retriever(pairs).retrieve(queries(), K)[1, 0] == 24
    assert retriever().retrieve(queries(), K)[1, 0] != 24


def test_a_users_own_next_item_is_no_reason_for_its_retrieval() -> None:
    """User 77 goes from item 5 to item 24, as nobody else does. Without dates the user's fold does
    not support it; with dates the query comes before it."""
    own = (np.full(60, 77), np.tile([5, 24], 30), np.arange(60) + 700.0)
    for dated in (True, False):
        queries_seen = Queries(**(vars(queries()) | {"users": np.full(3, 77)}))
        plain, planted = retriever(dated=dated), retriever(own, dated=dated)
        assert (planted.retrieve(queries_seen, K) == plain.retrieve(queries_seen, K)).all()
    other = Queries(**(vars(queries()) | {"users": np.full(3, 78)}))
    assert retriever(own, dated=False).retrieve(other, K)[1, 0] == 24


def test_random_entries_depend_on_the_history_and_are_known_items() -> None:
    of = retriever()
    got = of.retrieve(queries(2000.0), K, at_random=True)
    assert (of.retrieve(queries(2000.0), K, at_random=True) == got).all()
    assert (got[0] != got[1]).any()
    assert (of.snapshots[len(of.snapshots.dates) - 1].support[got[got > 0]] > 0).all()
    assert not of.retrieve(queries(-1.0), K, at_random=True).any()


@pytest.mark.parametrize("n_items", [40, 1 << 31])
def test_entries_are_sorted_by_row_then_value_then_column(n_items: int) -> None:
    random = np.random.default_rng(0)
    row = np.sort(random.integers(0, 7, 500))
    column = random.permutation(500) * (n_items // 500 or 1) % n_items
    value = random.integers(0, 9, 500).astype(np.float32) / 8 * random.choice([1, 1e-30], 500)
    value = value.astype(np.float32)
    order = sorted(range(500), key=lambda n: (row[n], -value[n], column[n]))
    got = _sorted_entries(row, column, value)
    for ours, entries in zip(got, (row, column, value)):
        np.testing.assert_array_equal(ours, entries[order])
