"""Retrieve items that a user has not had, for a position of a history: Eqs. (7)–(10).

    the latest items ─▶ (7) similarity to their neighbours ─▶ (8) the nearest ─▶ (9) the best K
                                                     (10) recency, credibility ─┘

Three rules limit what a query may retrieve. All apply before anything is ranked:

- Similarity, support and recency come from a snapshot that ends before the query time, or that has
  no interaction of the user's fold (repository.py). The user's next item is therefore never the
  reason of its own retrieval. It may be retrieved for what other users did.
- No item that the user has had: the ranking never recommends one.
- The target is not an argument. Excluding it by name would leak it: a model learns that a
  retrieved item is never the target.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from llm4rec_recbole.components.retrieval.repository import Snapshot, Snapshots

DAY = 86_400.0  # seconds
QUERY_LENGTH = 10  # the query is made of this many of the latest items
DECAY = 0.8  # weight of an item in the query, against the next one
POOL = 4  # (9) chooses K among the POOL · K most similar items
FULL_CREDIT = 100.0  # interactions; more do not raise the credibility
_QUERIES_AT_ONCE = 4096


def cosine_similarity(queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Eq. (7): sim(q_u, k_j) = q_u·k_j / (|q_u| |k_j|), (B, E), of (B, d) and (E, d); 0 where
    either is zero."""
    return _normalised(queries) @ _normalised(keys).T


def top_k(similarity: np.ndarray, k: int) -> np.ndarray:
    """Eq. (8): indices of the k largest values of each row, (B, k), fewer if E < k. similarity: (B,
    E). The largest comes first; ties are in order of index."""
    return np.argsort(-similarity, axis=-1, kind="stable")[..., :k]


def relevance(
    similarity: np.ndarray,
    temporal: np.ndarray,
    credibility: np.ndarray,
    weights: tuple[float, float, float],
) -> np.ndarray:
    """Eq. (9): score = λ1·sim + λ2·temporal + λ3·credibility, of equal shapes, over Σ λ. A term
    that an entry lacks is NaN, and its weight is left out of both sums."""
    total, mass = np.zeros_like(similarity), np.zeros_like(similarity)
    for term, weight in zip((similarity, temporal, credibility), weights):
        present = ~np.isnan(term)
        total += np.where(present, weight * np.nan_to_num(term), 0.0)
        mass += weight * present
    return total / np.maximum(mass, 1e-12)


def temporal_relevance(now: np.ndarray, then: np.ndarray, sigma: float) -> np.ndarray:
    """Eq. (10): exp(−(t_now − t_j)² / 2σ²); NaN for an entry without a date (t_j = -inf). now, then
    and sigma have the same unit."""
    dated = then > -np.inf
    age = np.where(dated, now - np.where(dated, then, 0.0), 0.0)
    return np.where(dated, np.exp(-(age**2) / (2 * sigma**2)), np.nan)


def credibility(support: np.ndarray) -> np.ndarray:
    """The third term of Eq. (9), from 0 to 1, which the paper does not define: min(1, log(1 + n) /
    log(1 + FULL_CREDIT)). support: n, an item's interactions before the query."""
    return np.minimum(1.0, np.log1p(support) / np.log1p(FULL_CREDIT))


@dataclass(frozen=True, eq=False)
class Queries:
    """P queries, each after the first `seen` items of one of H histories."""

    items: np.ndarray  # (N,) int64, the histories, one after another, each oldest first
    indptr: np.ndarray  # (H + 1,) int64
    history: np.ndarray  # (P,) int64, the history of each query
    seen: np.ndarray  # (P,) int64, how many of its items the user has had
    users: np.ndarray  # (P,) int64
    times: np.ndarray  # (P,) float64, the query times: what is dated before them is known


class Retriever:
    """Retrieves by Eqs. (7)–(10). weights: λ1, λ2, λ3 of (9); sigma: σ of (10), in seconds."""

    def __init__(
        self,
        snapshots: Snapshots,
        weights: tuple[float, float, float],
        sigma: float,
    ) -> None:
        self.snapshots, self.weights, self.sigma = snapshots, weights, sigma

    def retrieve(self, queries: Queries, k: int, at_random: bool = False) -> np.ndarray:
        """The K best items for each query, best first, (P, K) int64, 0 where there are no more.
        at_random: the null; items of the snapshot, drawn by a hash of the history."""
        best = np.zeros((len(queries.seen), k), dtype=np.int64)
        numbers = self.snapshots.numbers(queries.users, queries.times)
        first = _FirstPositions(queries, self.snapshots[0].similarity.shape[0])
        draw = self._random if at_random else self._best
        by_snapshot = np.argsort(numbers, kind="stable")
        cuts = np.flatnonzero(np.diff(numbers[by_snapshot])) + 1
        for group in np.split(by_snapshot, cuts):
            for start in range(0, len(group), _QUERIES_AT_ONCE):
                rows = group[start : start + _QUERIES_AT_ONCE]
                snapshot = self.snapshots[int(numbers[rows[0]])]
                best[rows] = draw(first, rows, snapshot, k)
        return best

    def _best(
        self, first: _FirstPositions, rows: np.ndarray, snapshot: Snapshot, k: int
    ) -> np.ndarray:
        queries, n_items = first.queries, snapshot.similarity.shape[0]
        similar = (_query_matrix(queries, rows, n_items) @ snapshot.similarity).tocsr()
        row = np.repeat(np.arange(len(rows)), np.diff(similar.indptr))
        unseen = ~first.is_seen(rows[row], similar.indices)
        row, item, value = row[unseen], similar.indices[unseen], similar.data[unseen]
        near, similarity = _largest_of_rows(row, item, value, len(rows), POOL * k)  # (8)
        now = queries.times[rows, None]
        score = relevance(
            similarity / np.maximum(similarity[:, :1], 1e-12),  # λ then mean the same in all data
            temporal_relevance(now, snapshot.last[near], self.sigma),
            credibility(snapshot.support[near]),
            self.weights,
        )
        best = top_k(np.where(near > 0, score, -np.inf), k)
        chosen = np.take_along_axis(near, best, axis=1)
        return np.pad(chosen, ((0, 0), (0, k - chosen.shape[1])))

    def _random(
        self, first: _FirstPositions, rows: np.ndarray, snapshot: Snapshot, k: int
    ) -> np.ndarray:
        queries, supported = first.queries, np.flatnonzero(snapshot.support)
        if not len(supported):
            return np.zeros((len(rows), k), dtype=np.int64)
        last = queries.items[queries.indptr[queries.history[rows]] + queries.seen[rows] - 1]
        key = queries.seen[rows] * 1_000_003 + last  # (P,)
        numbers = _mixed(
            key[:, None].astype(np.uint64) * np.uint64(64) + np.arange(4 * k, dtype=np.uint64)
        )
        drawn = supported[(numbers % np.uint64(len(supported))).astype(np.int64)]  # (P, 4k)
        seen = first.is_seen(np.repeat(rows, 4 * k), drawn.ravel()).reshape(drawn.shape)
        order = np.argsort(seen, axis=1, kind="stable")[:, :k]
        return np.where(np.take_along_axis(seen, order, 1), 0, np.take_along_axis(drawn, order, 1))


class _FirstPositions:
    """Where each item first occurs in each history."""

    def __init__(self, queries: Queries, n_items: int) -> None:
        self.queries, self.n_items = queries, n_items
        lengths = np.diff(queries.indptr)
        history = np.repeat(np.arange(len(lengths)), lengths)
        position = np.arange(len(queries.items)) - np.repeat(queries.indptr[:-1], lengths)
        keys = history * n_items + queries.items
        self.keys, rows = np.unique(keys, return_index=True)
        self.position = position[rows]

    def is_seen(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether query `rows` (C,) has seen `items` (C,), (C,) bool; the pad counts as seen."""
        keys = self.queries.history[rows] * self.n_items + items
        index = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        occurs = self.keys[index] == keys
        return (occurs & (self.position[index] < self.queries.seen[rows])) | (items == 0)


def _query_matrix(queries: Queries, rows: np.ndarray, n_items: int) -> sp.csr_matrix:
    """q_u of each query as weights of its latest items, DECAY^age, (P, n_items), sparse. The keys
    of two items have the product S_ij, so q_u times the keys of all items is this matrix times S.
    """
    lengths = np.minimum(queries.seen[rows], QUERY_LENGTH)
    ends = queries.indptr[queries.history[rows]] + queries.seen[rows]
    indptr = np.append(0, np.cumsum(lengths))
    age = np.arange(indptr[-1]) - np.repeat(indptr[:-1], lengths)
    items = queries.items[np.repeat(ends, lengths) - 1 - age]
    weights = (DECAY**age).astype(np.float32)
    return sp.csr_matrix((weights, items, indptr), shape=(len(rows), n_items))


def _largest_of_rows(
    row: np.ndarray, column: np.ndarray, value: np.ndarray, n_rows: int, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """The n largest values of each row and their columns, (n_rows, n) each, 0 where there are
    fewer; the smaller column first where values are equal.

    row, column: (C,), sorted by row; value: (C,) float32, at least 0.
    """
    row, column, value = _sorted_entries(row, column, value)
    starts = np.searchsorted(row, np.arange(n_rows))
    rank = np.arange(len(row)) - starts[row]
    chosen = rank < n
    columns = np.zeros((n_rows, n), dtype=np.int64)
    values = np.zeros((n_rows, n), dtype=np.float32)
    columns[row[chosen], rank[chosen]] = column[chosen]
    values[row[chosen], rank[chosen]] = value[chosen]
    return columns, values


def _sorted_entries(
    row: np.ndarray, column: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The entries by row, then from the largest value to the smallest, then by column.

    They are sorted as one uint64, which takes a tenth of the time of a sort by three keys: the bits
    of a float that is not negative are in the order of the floats.
    """
    bits = int(column.max(initial=0)).bit_length()
    if bits + int(row.max(initial=0)).bit_length() > 32:  # too many items
        order = np.lexsort((column, -value, row))
        return row[order], column[order], value[order]
    falling = ~value.astype(np.float32, copy=False).view(np.uint32)
    key = (row.astype(np.uint64) << np.uint64(32 + bits)) | column.astype(np.uint64)
    key |= falling.astype(np.uint64) << np.uint64(bits)
    key.sort()
    values = (~(key >> np.uint64(bits)).astype(np.uint32)).view(np.float32)
    columns = (key & np.uint64((1 << bits) - 1)).astype(np.int64)
    return (key >> np.uint64(32 + bits)).astype(np.int64), columns, values


def _mixed(x: np.ndarray) -> np.ndarray:
    """A hash of uint64 numbers (splitmix64, Steele et al., OOPSLA 2014)."""
    x = x * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _normalised(x: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(x, axis=-1, keepdims=True)
    return x / np.where(lengths > 0, lengths, 1.0)
