"""Retrieve repository entries for a user at a query time: Eqs. (7)–(10).

    allowed entries ─▶ (7) similarity to q_u ─▶ (8) the nearest ─▶ (9) by score ─▶ the best K
                                                     (10) temporal relevance ─┘

Two rules limit what a query may retrieve. Both apply before anything is ranked:

- No entry is dated at or after the query time. Support is computed as of the query time, too.
- No entry names an item that the user has not seen. The protocol never holds out a seen item, so
  the target is never retrieved, and the retriever does not need the target. Excluding the target by
  name would leak it: a model learns that a retrieved item is never the target, and the one item
  missing from its neighbourhood then stands out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from llm4rec_recbole.components.retrieval.repository import Repository

DAY = 86_400.0  # seconds
EXACT_UP_TO = 200_000  # entries; with more, faiss searches clusters of entries (IVF)


def cosine_similarity(queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Eq. (7): sim(q_u, k_j) = q_u·k_j / (|q_u| |k_j|), (B, E); 0 where either is zero.

    queries: (B, d); keys: (E, d).
    """
    return _normalised(queries) @ _normalised(keys).T


def top_k(similarity: np.ndarray, k: int) -> np.ndarray:
    """Eq. (8): indices of the k largest values of each row, (B, k), fewer if E < k.

    similarity: (B, E). The largest comes first; ties are in order of index.
    """
    return np.argsort(-similarity, axis=-1, kind="stable")[..., :k]


def relevance(
    similarity: np.ndarray,
    temporal: np.ndarray,
    credibility: np.ndarray,
    weights: tuple[float, float, float],
) -> np.ndarray:
    """Eq. (9): score = λ1·sim + λ2·temporal + λ3·credibility, all (C,)."""
    return weights[0] * similarity + weights[1] * temporal + weights[2] * credibility


def temporal_relevance(now: float, then: np.ndarray, sigma: float) -> np.ndarray:
    """Eq. (10): exp(−(t_now − t_j)² / 2σ²), (C,); 0 for timeless entries (t_j = -inf).

    now, then and sigma have the same unit, seconds for the data sets here.
    """
    return np.exp(-((now - then) ** 2) / (2 * sigma**2))


def user_query(
    vectors: np.ndarray, history: np.ndarray, ages: np.ndarray, decay: float
) -> np.ndarray:
    """q_u, (B, d) of length 1: the decayed mean of the vectors of the user's items.

    vectors: (n_items, d); history: (B, S) item ids, 0 where there is none; ages: (B, S), 0 = the
    latest. A user without a history, or whose items have no vectors, gets zeros.
    """
    weights = decay**ages * (history > 0)  # (B, S)
    return _normalised(np.einsum("bs,bsd->bd", weights, vectors[history]))


def _normalised(x: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(x, axis=-1, keepdims=True)
    return x / np.where(lengths > 0, lengths, 1.0)


@dataclass(frozen=True, eq=False)
class Retrieved:
    """The entries for each of B queries, best first."""

    entries: np.ndarray  # (B, K) int64, -1 where there were no more
    scores: np.ndarray  # (B, K) float32, Eq. (9), 0 there


class Retriever:
    """Retrieves from a repository by Eqs. (7)–(10).

    weights: λ1, λ2, λ3 of (9); sigma: σ of (10), in the unit of the repository's times; pool: (9)
    chooses K among the pool · K nearest entries; exact_up_to: up to this many entries every allowed
    key is compared.
    """

    def __init__(
        self,
        repository: Repository,
        n_items: int,
        weights: tuple[float, float, float] = (0.6, 0.2, 0.2),
        sigma: float = 90 * DAY,
        pool: int = 4,
        exact_up_to: int = EXACT_UP_TO,
    ) -> None:
        self.repository, self.n_items = repository, n_items
        self.weights, self.sigma, self.pool = weights, sigma, pool
        self.index = _index(repository.entries.keys, exact_up_to)
        first = repository.entries.about[:, 0]
        self._by_item = np.argsort(first, kind="stable")  # (E,) entries, sorted by their first item
        self._starts = np.searchsorted(first[self._by_item], np.arange(n_items + 1))

    def retrieve(
        self, queries: np.ndarray, times: np.ndarray, seen: np.ndarray, k: int
    ) -> Retrieved:
        """The K best allowed entries for each query.

        queries: (B, d), q_u; times: (B,), the query times; seen: (B, S) ids of the items that the
        user has seen before, 0 where there is none. For a training window, of which every position
        is a target, these are the items before the window, at the time of its first item.
        """
        entries = np.full((len(queries), k), -1, dtype=np.int64)
        scores = np.zeros((len(queries), k), dtype=np.float32)
        queries = np.ascontiguousarray(_normalised(queries), dtype=np.float32)
        for row, now in enumerate(times):
            allowed = self.allowed(float(now), seen[row])
            near, similarity = self._nearest(queries[row], allowed, k * self.pool)
            then = self.repository.last_support(near, now)
            score = relevance(
                similarity,
                temporal_relevance(now, then, self.sigma),
                self.repository.credibility(near, now),
                self.weights,
            )
            best = top_k(score, k)
            entries[row, : len(best)], scores[row, : len(best)] = near[best], score[best]
        return Retrieved(entries, scores)

    def allowed(self, now: float, seen: np.ndarray) -> np.ndarray:
        """The entries dated before `now` that name only items among `seen` (S,), ascending."""
        about, times = self.repository.entries.about, self.repository.entries.times
        may_name = np.zeros(self.n_items, dtype=bool)
        may_name[seen] = may_name[0] = True  # 0: no item
        spans = [slice(*self._starts[[item, item + 1]]) for item in np.flatnonzero(may_name)]
        entries = np.concatenate([self._by_item[span] for span in spans])
        return np.sort(entries[may_name[about[entries, 1]] & (times[entries] < now)])

    def _nearest(
        self, query: np.ndarray, allowed: np.ndarray, n: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Eqs. (7), (8): the n allowed entries nearest to `query` (d,), and their similarity, (n,)
        each; all allowed entries if there are fewer."""
        import faiss

        n = min(n, len(allowed))
        if n == 0:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        if not isinstance(self.index, faiss.IndexIVF):
            return self._search(query, n, sel=faiss.IDSelectorArray(allowed))
        selector, probes = faiss.IDSelectorBatch(allowed), self.index.nlist // 16 + 1
        while True:  # until the searched clusters hold n allowed entries
            nearest = self._search(query, n, sel=selector, nprobe=min(probes, self.index.nlist))
            if len(nearest[0]) == n or probes >= self.index.nlist:
                return nearest
            probes *= 4

    def _search(self, query: np.ndarray, n: int, **options: Any) -> tuple[np.ndarray, np.ndarray]:
        import faiss

        kind: Any = faiss.SearchParametersIVF if "nprobe" in options else faiss.SearchParameters
        similarity, near = self.index.search(query[None], n, params=kind(**options))
        is_entry = near[0] >= 0  # faiss pads with -1
        return near[0][is_entry], similarity[0][is_entry]


def _index(keys: np.ndarray, exact_up_to: int) -> Any:
    """A faiss index of inner products. Keys have length 1, so these are cosines."""
    import faiss

    d, n = keys.shape[1], len(keys)
    kind = "Flat" if n <= exact_up_to else f"IVF{int(4 * n**0.5)},Flat"
    index = faiss.index_factory(d, kind, faiss.METRIC_INNER_PRODUCT)
    index.train(keys)  # IVF: k-means from a fixed seed
    index.add(keys)
    return index
