"""Similarities of items against loops, and what a snapshot must not contain."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from llm4rec_recbole.components.retrieval import repository
from llm4rec_recbole.components.retrieval.repository import (
    DECAY,
    FOLDS,
    SHRINK,
    Snapshots,
    largest,
    shrunk_cosine,
    snapshot_dates,
    text_similarity,
    unit_maxima,
)

N_USERS, N_ITEMS, LENGTH = 30, 12, 9
RANDOM = np.random.default_rng(0)
USERS = np.repeat(np.arange(1, N_USERS + 1), LENGTH)
ITEMS = RANDOM.integers(1, N_ITEMS, len(USERS))
TIMES = np.sort(RANDOM.random((N_USERS, LENGTH)), axis=1).ravel() * 1000
NO_TEXT = np.zeros((N_ITEMS, 1), dtype=np.float32)


def naive_counts(inside: np.ndarray) -> np.ndarray:
    counts = np.zeros((N_ITEMS, N_ITEMS))
    for a in range(len(USERS)):
        for b in range(a + 1, min(len(USERS), a + 21)):
            if USERS[a] == USERS[b] and inside[a] and inside[b] and ITEMS[a] != ITEMS[b]:
                counts[ITEMS[a], ITEMS[b]] += DECAY ** (b - a - 1)
                counts[ITEMS[b], ITEMS[a]] += DECAY ** (b - a - 1)
    return counts


def naive_similarity(inside: np.ndarray) -> np.ndarray:
    counts = naive_counts(inside)
    mass = counts.sum(1) + SHRINK
    cosine = counts / np.sqrt(mass[:, None] * mass)
    maxima = cosine.max(1)
    return cosine / maxima[maxima > 0].mean() if counts.any() else cosine


def test_a_snapshot_has_what_happened_before_its_date() -> None:
    snapshots = Snapshots(USERS, ITEMS, TIMES, NO_TEXT, 0.0)
    assert len(snapshots.dates) > 4
    for number, date in enumerate(snapshots.dates):
        inside = date > TIMES
        snapshot = snapshots[number]
        expected = naive_similarity(inside)
        np.testing.assert_allclose(snapshot.similarity.toarray(), expected, rtol=1e-5, atol=1e-7)
        assert (snapshot.support == np.bincount(ITEMS[inside], minlength=N_ITEMS)).all()
        for item in range(N_ITEMS):
            dates = TIMES[inside & (item == ITEMS)]
            assert snapshot.last[item] == dates.max(initial=-np.inf)


def test_a_query_reads_the_latest_snapshot_that_ends_before_it() -> None:
    snapshots = Snapshots(USERS, ITEMS, TIMES, NO_TEXT, 0.0)
    for time in (-5.0, 0.0, TIMES[40], 500.0, TIMES.max(), 1e9):
        number = snapshots.numbers(np.array([1]), np.array([time]))[0]
        assert snapshots.dates[number] < time
        assert number + 1 == len(snapshots.dates) or snapshots.dates[number + 1] >= time
    assert snapshots[len(snapshots.dates) - 1].support.sum() == len(ITEMS)


def test_later_interactions_move_no_earlier_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "FIRST", 10)
    now = 400.0
    before, after = snapshot_dates(TIMES[now > TIMES]), snapshot_dates(TIMES)
    assert after[after < now].tolist() == before[before < now].tolist()[: (after < now).sum()]


def test_without_dates_a_user_reads_what_the_other_folds_did() -> None:
    snapshots = Snapshots(USERS, ITEMS, None, NO_TEXT, 0.0)
    users = np.arange(1, N_USERS + 1)
    for user, number in zip(users, snapshots.numbers(users, np.zeros(N_USERS))):
        inside = user % FOLDS != USERS % FOLDS
        assert not inside[user == USERS].any()
        expected = naive_similarity(inside)
        got = snapshots[number].similarity.toarray()
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)
        assert (snapshots[number].last == -np.inf).all()


def test_the_share_of_the_texts() -> None:
    vectors = RANDOM.normal(size=(N_ITEMS, 5)).astype(np.float32)
    vectors[[0, 7]] = 0
    text = text_similarity(vectors).toarray()
    rows = np.flatnonzero(vectors.any(1))
    centred = vectors[rows] - vectors[rows].mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    expected = np.zeros((N_ITEMS, N_ITEMS))
    expected[np.ix_(rows, rows)] = np.maximum(centred @ centred.T, 0)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(text, expected, atol=1e-6)
    snapshot = Snapshots(USERS, ITEMS, TIMES, vectors, 0.3)
    last = snapshot[len(snapshot.dates) - 1].similarity.toarray()
    mixed = 0.7 * naive_similarity(TIMES > -1) + 0.3 * text / text.max(1)[text.max(1) > 0].mean()
    np.testing.assert_allclose(last, mixed, rtol=1e-4, atol=1e-6)


def test_only_the_largest_entries_of_a_row_stay() -> None:
    dense = RANDOM.random((6, 9)) * (RANDOM.random((6, 9)) < 0.6)
    dense[2] = 0
    got = largest(sp.csr_matrix(dense), 2).toarray()
    for row, expected in zip(got, dense):
        best = sorted(expected, reverse=True)[:2]
        np.testing.assert_allclose(sorted(row, reverse=True)[:2], best, rtol=1e-6)
        assert (row > 0).sum() == min(2, (expected > 0).sum())


@pytest.mark.parametrize("n", [0, 1])
def test_next_to_no_interactions(n: int) -> None:
    snapshots = Snapshots(USERS[:n], ITEMS[:n], TIMES[:n], NO_TEXT, 0.1)
    assert snapshots[int(snapshots.numbers(np.array([1]), np.array([1e9]))[0])].similarity.nnz == 0
    assert unit_maxima(shrunk_cosine(sp.csr_matrix((3, 3)))).nnz == 0
