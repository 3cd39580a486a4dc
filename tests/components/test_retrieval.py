"""Eqs. (7)–(10) against loops, the whole against a naive retriever, and what never is retrieved."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm4rec_recbole.components.retrieval.repository import (
    FULL_CREDIT,
    Repository,
    category_entries,
    item_entries,
    relation_entries,
    review_entries,
)
from llm4rec_recbole.components.retrieval.retriever import (
    Retrieved,
    Retriever,
    cosine_similarity,
    relevance,
    temporal_relevance,
    top_k,
    user_query,
)

N_ITEMS, D, K = 15, 6, 4
RANDOM = np.random.default_rng(0)
VECTORS = RANDOM.normal(size=(N_ITEMS, D)).astype(np.float32)
VECTORS[0] = 0
HOT = RANDOM.random((N_ITEMS, 3)) < 0.4
USERS, ITEMS = RANDOM.integers(1, 9, 120), RANDOM.integers(1, N_ITEMS, 120)
TIMES = np.sort(RANDOM.integers(0, 1000, 120))
NOW, SEEN = 600.0, np.array([2, 5, 7, 9, 11, 0])
OPTIONS = {"weights": (0.5, 0.3, 0.2), "sigma": 200.0}


def repository(
    extra: tuple[np.ndarray, ...] = (), reviews: tuple[np.ndarray, ...] = ()
) -> Repository:
    """Of all kinds; `extra` are more interactions, `reviews` more reviews, in their columns."""
    users, items, times = (
        np.append(a, b) for a, b in zip((USERS, ITEMS, TIMES), extra or ([], [], []))
    )
    order = np.argsort(times, kind="stable")
    users, items, times = users[order].astype(int), items[order].astype(int), times[order]
    of_reviews = (VECTORS[ITEMS[:40]][:, ::-1], ITEMS[:40], TIMES[:40], np.arange(40))
    if reviews:
        of_reviews = tuple(np.append(a, b, axis=0) for a, b in zip(of_reviews, reviews))
    return Repository(
        category_entries(VECTORS, HOT),
        item_entries(VECTORS, items, times),
        relation_entries(VECTORS, users, items, times, min_users=1),
        review_entries(*of_reviews),
    )


def ask(of: Repository, **options) -> Retrieved:
    queries = VECTORS[[3, 8]]
    return Retriever(of, N_ITEMS, **OPTIONS, **options).retrieve(
        queries, np.array([NOW, NOW]), np.stack([SEEN, SEEN]), K
    )


def what(of: Repository, got: Retrieved) -> list[tuple]:
    """What was retrieved, in words that do not depend on how entries are numbered."""
    e = of.entries
    return [
        (e.kinds[j], *e.about[j], *e.keys[j].round(5), round(float(score), 5))
        for j, score in zip(got.entries.ravel(), got.scores.ravel())
    ]


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


def test_eq10_temporal_relevance() -> None:
    then = [10.0, 90.0, -np.inf, 100.0]
    expected = [math.exp(-(90.0**2) / 200.0), math.exp(-0.5), 0.0, 1.0]
    np.testing.assert_allclose(
        temporal_relevance(100.0, np.array(then), 10.0), expected, rtol=1e-12
    )


def test_the_query_is_the_decayed_mean_of_what_was_seen() -> None:
    history, ages = np.array([[4, 6, 0], [0, 0, 0]]), np.array([[1, 0, 5], [0, 0, 0]])
    got = user_query(VECTORS, history, ages, 0.5)
    expected = 0.5 * VECTORS[4] + VECTORS[6]
    np.testing.assert_allclose(got[0], expected / np.linalg.norm(expected), rtol=1e-5)
    assert not got[1].any()


def naive(of: Repository, query: np.ndarray, pool: int) -> list[tuple[int, float]]:
    e, starts = of.entries, np.cumsum(of.entries.support) - of.entries.support
    near = []
    for j in range(len(of)):
        if all(item in SEEN for item in e.about[j]) and e.times[j] < NOW:
            near.append((float(query @ e.keys[j]) / np.linalg.norm(query), j))
    near = sorted(near, reverse=True)[: pool * K]
    scored = []
    for similarity, j in near:
        before = [t for t in e.dates[starts[j] : starts[j] + e.support[j]] if t < NOW]
        then = max(before) if before and e.times[j] > -np.inf else e.times[j]
        credit = min(1, math.log(1 + len(before) + e.votes[j]) / math.log(1 + FULL_CREDIT))
        temporal = math.exp(-((NOW - then) ** 2) / (2 * 200.0**2))
        scored.append((0.5 * similarity + 0.3 * temporal + 0.2 * credit, j))
    return [(j, score) for score, j in sorted(scored, reverse=True)[:K]]


@pytest.mark.parametrize("pool", [1, 3, 1000])
def test_the_retriever_is_the_equations_one_after_another(pool: int) -> None:
    of = repository()
    got = ask(of, pool=pool)
    for row, query in enumerate(VECTORS[[3, 8]]):
        expected = naive(of, query, pool)
        assert got.entries[row].tolist() == [j for j, _ in expected]
        np.testing.assert_allclose(got.scores[row], [score for _, score in expected], rtol=1e-5)


def test_an_approximate_index_is_exact_if_it_returns_everything() -> None:
    of = repository()
    assert what(of, ask(of, pool=1000, exact_up_to=0)) == what(of, ask(of, pool=1000))


def test_an_approximate_index_still_fills_k() -> None:
    got = ask(repository(), exact_up_to=0)
    assert (got.entries >= 0).all()


def test_nothing_is_retrieved_that_is_dated_at_or_after_the_query() -> None:
    of = repository()
    allowed = Retriever(of, N_ITEMS).allowed(NOW, SEEN)
    assert len(allowed) > K
    assert (of.entries.times[allowed] < NOW).all()
    assert (of.entries.times >= NOW).any()


@given(st.integers(0, 2**32 - 1), st.floats(NOW, 5000))
@settings(max_examples=25)
def test_a_planted_future_interaction_changes_nothing(seed: int, time: float) -> None:
    """Whoever has it, with whatever item, from the very moment of the query on: not what is
    retrieved, not in which order, not how it scores."""
    random = np.random.default_rng(seed)
    n = random.integers(1, 30)
    later = (random.integers(1, 9, n), random.integers(1, N_ITEMS, n), np.full(n, time))
    before, after = repository(), repository(extra=later)
    assert what(after, ask(after)) == what(before, ask(before))


@pytest.mark.parametrize("time", [NOW, NOW + 1, 1e12])
def test_a_planted_future_review_changes_nothing(time: float) -> None:
    planted = (VECTORS[[3]], np.array([5]), np.array([time]), np.array([1e6]))
    before, after = repository(), repository(reviews=planted)
    assert what(after, ask(after)) == what(before, ask(before))


def test_a_planted_review_from_before_the_query_is_found() -> None:
    """The two tests above would notice."""
    planted = (VECTORS[[3]], np.array([5]), np.array([NOW - 1]), np.array([1e6]))
    of = repository(reviews=planted)
    assert ask(of).entries[0, 0] == len(of) - 1


@pytest.mark.parametrize("target", sorted(set(range(1, N_ITEMS)) - set(SEEN.tolist())))
def test_a_planted_answer_changes_nothing(target: int) -> None:
    """An old, praised review that answers the query word for word, of the item to be predicted."""
    planted = (VECTORS[[3]], np.array([target]), np.array([0.0]), np.array([1e6]))
    before, after = repository(), repository(reviews=planted)
    assert what(after, ask(after)) == what(before, ask(before))


def test_only_what_was_seen_is_named() -> None:
    of = repository()
    about = of.entries.about[ask(of).entries.ravel()]
    assert set(about.ravel().tolist()) <= {0, *SEEN.tolist()}
    assert about[:, 1].any() or about[:, 0].any()


def test_a_user_who_has_seen_nothing_gets_what_names_no_item() -> None:
    of = repository()
    got = Retriever(of, N_ITEMS).retrieve(VECTORS[[3]], np.array([NOW]), np.zeros((1, 1), int), 9)
    assert (of.entries.kinds[got.entries[0, :3]] == 0 + 1).all()  # the three categories
    assert (got.entries[0, 3:] == -1).all()
    assert not got.scores[0, 3:].any()


def test_an_empty_repository_retrieves_nothing() -> None:
    nothing = Repository(category_entries(np.zeros((N_ITEMS, D), np.float32), HOT))
    assert (ask(nothing).entries == -1).all()


def test_a_query_without_text_goes_by_time_and_credibility() -> None:
    of = repository()
    got = Retriever(of, N_ITEMS, pool=1000).retrieve(
        np.zeros((1, D)), np.array([NOW]), SEEN[None], K
    )
    assert np.isfinite(got.scores).all()
    assert (np.diff(got.scores[0]) <= 0).all()
