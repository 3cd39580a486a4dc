"""One scoring pass, three rankings: where each held-out item stands among its candidates.

    score(rows) ──▶ (B, n_items) ─┬─▶ among all items not seen       rank_full, top_100
                                  ├─▶ among 100 uniform negatives    rank_uni100
                                  └─▶ among 100 popular negatives    rank_pop100

    rank = candidates that score higher + (other candidates that score the same) / 2

So 0 is best. A model that scores all items alike ranks exactly as well as chance, for every order
of the item ids. Seen items and the pad are never candidates; the
held-out item always is, also where the user had seen it before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.machine import reused_memory

TOP = 100  # items in a user's list
_CELLS = 1 << 19  # scores ranked at once: a copy stays in the processor's cache
_GROUPS = 8  # groups of items for each item of a list
_TIE_SEED = 20240  # of the permutation that orders tied items in top_100


@dataclass(frozen=True, eq=False)
class Rankings:
    """Where each held-out item stands, and the best items for each user."""

    users: np.ndarray  # (U,) int64
    targets: np.ndarray  # (U,) int64
    rank_full: np.ndarray  # (U,) float64, 0 = best, ties count half
    rank_uni100: np.ndarray  # (U,) float64
    rank_pop100: np.ndarray  # (U,) float64
    top_100: np.ndarray  # (U, K <= 100) int64 item ids, best first, 0 on the right
    seconds: np.ndarray  # (n_batches,) float64, wall-clock seconds of each call of `score`
    batch_sizes: np.ndarray  # (n_batches,) int64, rows in each call


def rank_held_out(
    score: Callable[[np.ndarray], np.ndarray],
    held_out: HeldOut,
    uni100: np.ndarray | None = None,
    pop100: np.ndarray | None = None,
    batch_size: int = 256,
    top: int = TOP,
    progress: bool = False,
    threads: int = 1,
    groups: Iterable[np.ndarray] | None = None,
) -> Rankings:
    """Score every row of `held_out` once, and rank its held-out item in each of the rankings.

    score: takes rows (B,) of `held_out`, returns float scores (B, n_items), higher is better.
    uni100, pop100: (U, n) negatives from `draw_negatives`, 0 where there is none. Without them the
    ranks among them are NaN. top: how many of the best items to list, K = min(top, n_items - 1).
    threads: how many rank the rows of a batch; it changes no rank.
    groups: which rows are scored together, in this order; every row is in one group. A model that
    learns between two rankings does so between two groups. None: all rows in one group.
    Raises InputError that names the user when scores are NaN or have another shape.
    """
    n_rows, n_items = len(held_out), held_out.n_items
    full, uni, pop = (np.full(n_rows, np.nan) for _ in range(3))
    lists = np.zeros((n_rows, min(top, n_items - 1)), dtype=np.int64)
    order = np.random.default_rng(_TIE_SEED).permutation(n_items)
    batches = _batches([np.arange(n_rows)] if groups is None else groups, batch_size)
    if progress:
        from tqdm import tqdm

        total = -(-n_rows // batch_size) if groups is None else None
        batches = tqdm(batches, desc="evaluate", unit="batch", leave=False, total=total)
    seconds, sizes = [], []
    step = max(1, _CELLS // n_items)

    def rank(rows: np.ndarray, scores: np.ndarray) -> None:
        users, targets = held_out.users[rows], held_out.targets[rows]
        _check_numbers(scores, lambda row: f"user {users[row]} (row {rows[row]})")
        block = _Block(scores, targets, *held_out.seen(rows))
        full[rows] = block.ranks()
        if uni100 is not None:
            uni[rows] = _sampled_ranks(scores, targets, uni100[rows])
        if pop100 is not None:
            pop[rows] = _sampled_ranks(scores, targets, pop100[rows])
        if lists.shape[1]:
            lists[rows] = block.top(lists.shape[1], order)

    with reused_memory(), ThreadPoolExecutor(threads) as pool:
        for rows in batches:
            began = time.perf_counter()
            scores = _as_floats(score(rows))  # (B, n_items)
            seconds.append(time.perf_counter() - began)
            sizes.append(len(rows))
            if scores.shape != (len(rows), n_items):
                first, last = (f"user {held_out.users[r]} (row {r})" for r in rows[[0, -1]])
                raise InputError(
                    f"scores of {first} to {last} have shape {scores.shape}, "
                    f"expected {(len(rows), n_items)}"
                )
            cuts = range(0, len(rows), step)
            run = map if threads == 1 else pool.map
            blocks = [(rows[cut : cut + step], scores[cut : cut + step]) for cut in cuts]
            for _ in run(rank, *zip(*blocks)):
                pass
            del scores, blocks  # so that the next scores use their memory
    return Rankings(
        held_out.users, held_out.targets, full, uni, pop, lists, np.array(seconds), np.array(sizes)
    )


def _batches(groups: Iterable[np.ndarray], batch_size: int) -> Iterator[np.ndarray]:
    """Yield the rows of each group, at most `batch_size` at once."""
    for group in groups:
        for start in range(0, len(group), batch_size):
            yield group[start : start + batch_size]


def full_ranks(scores: np.ndarray, targets: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Rank each target among all items that its user has not seen, (B,) float64.

    scores: (B, n_items) float; targets: (B,) int64; seen: (B, n_items) bool.
    Raises InputError that names the row when scores are NaN or have another shape.
    """
    scores = _as_floats(scores)
    if scores.shape != seen.shape:
        raise InputError(f"scores have shape {scores.shape}, expected {seen.shape}")
    _check_numbers(scores, lambda row: f"row {row}")
    return _Block(scores, targets, *seen.nonzero()).ranks()


def _as_floats(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores)
    return scores if scores.dtype.kind == "f" else scores.astype(np.float64)


def _check_numbers(scores: np.ndarray, name: Callable[[int], str]) -> None:
    """NaN compares false with everything: unchecked, a NaN target would rank best of all."""
    if not scores[:, 1:].size:  # the pad's score is never looked at
        return
    bad = np.isnan(scores[:, 1:].max(axis=1))  # the largest of numbers and NaN is NaN
    if bad.any():
        raise InputError(
            f"the score of an item is NaN for {name(int(bad.argmax()))}",
            hint=f"{int(bad.sum())} of {len(bad)} rows ranked with it; training may have diverged",
        )


class _Block:
    """Some rows of scores, few enough for the processor's cache, and who may be recommended what.

    scores: (b, n_items); targets: (b,); seen_rows, seen_items: (pairs,) each, in any order.
    `values` are the scores, -inf where an item is no candidate.
    """

    def __init__(
        self, scores: np.ndarray, targets: np.ndarray, seen_rows: np.ndarray, seen_items: np.ndarray
    ) -> None:
        rows = np.arange(len(targets))
        self.scores, self.targets, self.seen = scores, targets, (seen_rows, seen_items)
        self.own = scores[rows, targets]  # (b,)
        self.values = scores.copy()  # (b, n_items)
        self.values[seen_rows, seen_items] = -np.inf
        self.values[:, 0] = -np.inf
        self.values[rows, targets] = self.own

    def ranks(self) -> np.ndarray:
        """The rank of each target among the candidates, (b,) float64."""
        ranks = np.empty(len(self.targets))
        for row, (values, own) in enumerate(zip(self.values, self.own)):
            higher = np.count_nonzero(values > own)
            equal = np.count_nonzero(values == own) - 1  # less the target itself
            ranks[row] = higher + equal / 2
        for row in np.flatnonzero(self.own == -np.inf).tolist():  # items that are no candidates tie
            ties = np.count_nonzero(self._candidates(row) & (self.scores[row] == -np.inf)) - 1
            ranks[row] = np.count_nonzero(self.values[row] > -np.inf) + ties / 2
        return ranks

    def top(self, k: int, order: np.ndarray) -> np.ndarray:
        """The k best candidates, best first, (b, k), 0 on the right; ties by `order`, (n_items,).

        The k-th largest of the maxima of groups of items is at most the k-th largest score. Only
        items that reach it are sorted: few, however large the catalogue.
        """
        b, n_items = self.values.shape
        size = max(1, n_items // (_GROUPS * k))  # items in a group
        groups = self.values[:, : n_items // size * size].reshape(b, size, -1)
        maxima = groups.max(axis=1)  # (b, n_groups)
        bound = np.partition(maxima, maxima.shape[1] - k, axis=1)[:, maxima.shape[1] - k]  # (b,)
        plain = np.flatnonzero(bound > -np.inf)  # rows with k candidates that do not score -inf
        values = self.values if len(plain) == b else self.values[plain]
        cells = np.flatnonzero(values >= bound[plain, None])  # row by row
        rows, items = cells // n_items, cells % n_items
        items = items[np.lexsort((order[items], -values[rows, items], rows))]
        starts = np.searchsorted(rows, np.arange(len(plain)))
        best = np.zeros((b, k), dtype=np.int64)
        best[plain] = items[starts[:, None] + np.arange(k)]
        for row in np.flatnonzero(bound == -np.inf).tolist():
            candidates = np.flatnonzero(self._candidates(row))
            by_score = np.lexsort((order[candidates], -self.scores[row, candidates]))[:k]
            best[row, : len(by_score)] = candidates[by_score]
        return best

    def _candidates(self, row: int) -> np.ndarray:
        """Which items may be recommended in `row`, (n_items,) bool."""
        rows, items = self.seen
        candidate = np.ones(self.values.shape[1], dtype=bool)
        candidate[items[rows == row]] = False
        candidate[0] = False
        candidate[self.targets[row]] = True
        return candidate


def _sampled_ranks(scores: np.ndarray, targets: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    own = scores[np.arange(len(targets)), targets][:, None]  # (B, 1)
    others = np.take_along_axis(scores, negatives, axis=1)  # (B, n)
    drawn = negatives > 0
    higher = np.count_nonzero((others > own) & drawn, axis=1)
    equal = np.count_nonzero((others == own) & drawn, axis=1)
    return higher + equal / 2
