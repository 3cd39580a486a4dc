"""One scoring pass, three rankings: where each held-out item stands among its candidates.

    score(rows) ──▶ (B, n_items) ─┬─▶ among all items not seen       rank_full, top_100
                                  ├─▶ among 100 uniform negatives    rank_uni100
                                  └─▶ among 100 popular negatives    rank_pop100

    rank = candidates that score higher + (other candidates that score the same) / 2

So 0 is best, and a model that scores all items alike ranks as well as chance, no better and no
worse, whatever the order of the item ids. Seen items and the pad are never candidates; the
held-out item always is, also where the user had seen it before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError

TOP = 100  # items in a user's list
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
) -> Rankings:
    """Score every row of `held_out` once, and rank its held-out item in each of the rankings.

    score: takes rows (B,) of `held_out`, returns float scores (B, n_items), higher is better.
    uni100, pop100: (U, n) negatives from `draw_negatives`, 0 where there is none. Without them the
    ranks among them are NaN. top: how many of the best items to list, K = min(top, n_items - 1).
    Raises InputError that names the user when scores are NaN or have another shape.
    """
    n_rows, n_items = len(held_out), held_out.n_items
    full, uni, pop = (np.full(n_rows, np.nan) for _ in range(3))
    lists = np.zeros((n_rows, min(top, n_items - 1)), dtype=np.int64)
    order = np.random.default_rng(_TIE_SEED).permutation(n_items)
    starts = range(0, n_rows, batch_size)
    if progress:
        from tqdm import tqdm

        starts = tqdm(starts, desc="evaluate", unit="batch", leave=False)
    seconds, sizes = [], []
    for start in starts:
        rows = np.arange(start, min(start + batch_size, n_rows))
        began = time.perf_counter()
        scores = _as_floats(score(rows))  # (B, n_items)
        seconds.append(time.perf_counter() - began)
        sizes.append(len(rows))
        users, targets = held_out.users[rows], held_out.targets[rows]
        _check(scores, (len(rows), n_items), [f"user {u} (row {r})" for u, r in zip(users, rows)])
        candidate = _candidates(held_out.seen_mask(rows), targets)
        full[rows] = _ranks(scores, targets, candidate)
        if uni100 is not None:
            uni[rows] = _sampled_ranks(scores, targets, uni100[rows])
        if pop100 is not None:
            pop[rows] = _sampled_ranks(scores, targets, pop100[rows])
        if lists.shape[1]:
            lists[rows] = _top(scores, candidate, lists.shape[1], order)
    return Rankings(
        held_out.users, held_out.targets, full, uni, pop, lists, np.array(seconds), np.array(sizes)
    )


def full_ranks(scores: np.ndarray, targets: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Rank each target among all items that its user has not seen, (B,) float64.

    scores: (B, n_items) float; targets: (B,) int64; seen: (B, n_items) bool.
    Raises InputError that names the row when scores are NaN or have another shape.
    """
    scores = _as_floats(scores)
    _check(scores, seen.shape, [f"row {row}" for row in range(len(targets))])
    return _ranks(scores, targets, _candidates(seen, targets))


def _as_floats(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores)
    return scores if scores.dtype.kind == "f" else scores.astype(np.float64)


def _check(scores: np.ndarray, shape: tuple[int, ...], names: list[str]) -> None:
    """NaN compares false with everything: unchecked, a NaN target would rank best of all."""
    if scores.shape != shape:
        span = f"{names[0]} to {names[-1]}" if names else "no rows"
        raise InputError(f"scores of {span} have shape {scores.shape}, expected {shape}")
    bad = np.isnan(scores[:, 1:]).any(axis=1)  # the pad's score is never looked at
    if bad.any():
        raise InputError(
            f"the score of an item is NaN for {names[int(bad.argmax())]}",
            hint=f"{int(bad.sum())} of {len(bad)} rows in this batch; training may have diverged",
        )


def _candidates(seen: np.ndarray, targets: np.ndarray) -> np.ndarray:
    candidate = ~seen
    candidate[:, 0] = False
    candidate[np.arange(len(targets)), targets] = True
    return candidate  # (B, n_items)


def _ranks(scores: np.ndarray, targets: np.ndarray, candidate: np.ndarray) -> np.ndarray:
    own = scores[np.arange(len(targets)), targets][:, None]  # (B, 1)
    higher = np.count_nonzero((scores > own) & candidate, axis=1)
    equal = np.count_nonzero((scores == own) & candidate, axis=1) - 1  # less the target itself
    return higher + equal / 2


def _sampled_ranks(scores: np.ndarray, targets: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    own = scores[np.arange(len(targets)), targets][:, None]  # (B, 1)
    others = np.take_along_axis(scores, negatives, axis=1)  # (B, n)
    drawn = negatives > 0
    higher = np.count_nonzero((others > own) & drawn, axis=1)
    equal = np.count_nonzero((others == own) & drawn, axis=1)
    return higher + equal / 2


def _top(scores: np.ndarray, candidate: np.ndarray, k: int, order: np.ndarray) -> np.ndarray:
    """The k best candidates, best first, (B, k), 0 on the right; tied items by `order`, (n_items,).

    Only items that reach the k-th best score are sorted: few, however large the catalogue.
    """
    finite = np.maximum(scores, np.finfo(scores.dtype).min)  # -inf is left to the others
    values = np.where(candidate, finite, -np.inf)  # (B, n_items)
    n_items = values.shape[1]
    kth = np.partition(values, n_items - k, axis=1)[:, n_items - k, None]  # (B, 1)
    cells = np.flatnonzero(values >= kth)  # at least k of each row, row by row
    rows, items = cells // n_items, cells % n_items
    items = items[np.lexsort((order[items], -values[rows, items], rows))]
    starts = np.searchsorted(rows, np.arange(len(values)))
    best = items[starts[:, None] + np.arange(k)]  # (B, k)
    return np.where(np.take_along_axis(candidate, best, axis=1), best, 0)


# Sampled candidates: negatives drawn once for each user and shared by all methods.


_CELLS = 1 << 22  # random numbers held at once; does not change what is drawn


def draw_negatives(held_out: HeldOut, weights: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Draw `n` distinct negatives for each row: never seen, never the target, never the pad.

    Sampling is weighted and without replacement: items are drawn one after another, each with
    probability proportional to its weight among those not yet drawn. It runs as an exponential
    race (Efraimidis & Spirakis, 2006): item i arrives at time Exp(1) / w_i, the first n win.

    weights: (n_items,), at least 0; ones for uniform negatives, training counts for popular ones.
    An item of weight 0 is never drawn.
    Returns (U, n) int64, in order of arrival; 0 on the right where a row has fewer than n items
    left to draw. Depends on `held_out`, `weights`, `n` and `seed` only, so all methods share it.
    Raises ValueError when the weights have another shape, are negative or not finite.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (held_out.n_items,):
        raise ValueError(f"weights have shape {weights.shape}, expected ({held_out.n_items},)")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError("weights must be finite and at least 0")
    random = np.random.default_rng(seed)
    negatives = np.zeros((len(held_out), n), dtype=np.int64)
    width = min(n, held_out.n_items)
    step = max(1, _CELLS // held_out.n_items)
    for start in range(0, len(held_out), step):
        rows = np.arange(start, min(start + step, len(held_out)))
        with np.errstate(divide="ignore"):
            arrival = random.standard_exponential((len(rows), held_out.n_items)) / weights
        arrival[held_out.seen_mask(rows)] = np.inf
        arrival[np.arange(len(rows)), held_out.targets[rows]] = np.inf
        first = np.argpartition(arrival, width - 1, axis=1)[:, :width]  # (B, width)
        times = np.take_along_axis(arrival, first, axis=1)
        order = np.argsort(times, axis=1)
        drawn = np.take_along_axis(first, order, axis=1)
        arrived = np.isfinite(np.take_along_axis(times, order, axis=1))
        negatives[rows, :width] = np.where(arrived, drawn, 0)
    return negatives
