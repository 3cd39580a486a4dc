"""Sampled candidates: negatives drawn once for each user and shared by all methods.

Negatives are drawn one after another, each with probability proportional to its weight among the
items not yet drawn. Two ways of drawing have this distribution:

    race         item i arrives at time Exp(1) / w_i; the first n win (Efraimidis & Spirakis, 2006).
                 Draws a number for each pair of a user and an item.
    rejection    items are drawn with replacement; seen and repeated ones are drawn again.
                 Draws a few more than n numbers for each user.

The race draws the negatives of all committed records. Rejection draws them for data sets too large
for the race, which would take minutes for MovieLens-25M.
"""

from __future__ import annotations

import numpy as np

from llm4rec_recbole.data.held_out import HeldOut

RACE_PAIRS = 1 << 30  # pairs of a user and an item; beyond, rejection draws
_CELLS = 1 << 22  # pairs held at once; the race draws the same whatever it is
_MOST_ROUNDS = 8  # of rejection; a race ends what is then missing
_PARTS = 1 << 20  # of the unit interval
_SPARE = 1.28  # how many items a round of rejection draws for each one that it needs


def draw_negatives(
    held_out: HeldOut, weights: np.ndarray, n: int, seed: int, race_pairs: int = RACE_PAIRS
) -> np.ndarray:
    """Draw `n` distinct negatives for each row: never seen, never the target, never the pad.

    weights: (n_items,), at least 0; ones for uniform negatives, training counts for popular ones.
    An item of weight 0 is never drawn. race_pairs: the most pairs for which the race draws.
    Returns (U, n) int64, in the order of drawing; 0 on the right where a row has fewer than n items
    left to draw. Depends on `held_out`, `weights`, `n` and `seed` only, so all methods share it.
    Raises ValueError when the weights have another shape, are negative or not finite.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (held_out.n_items,):
        raise ValueError(f"weights have shape {weights.shape}, expected ({held_out.n_items},)")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError("weights must be finite and at least 0")
    random = np.random.default_rng(seed)
    races = len(held_out) * held_out.n_items <= race_pairs or not weights.any()
    draw = _race if races else _Rejection(weights)
    negatives = np.zeros((len(held_out), n), dtype=np.int64)
    step = max(1, _CELLS // held_out.n_items)
    for start in range(0, len(held_out), step):
        rows = np.arange(start, min(start + step, len(held_out)))
        excluded = held_out.seen_mask(rows)  # (B, n_items)
        excluded[np.arange(len(rows)), held_out.targets[rows]] = True
        draw(random, weights, excluded, negatives[rows[0] : rows[-1] + 1])
    return negatives


def _race(
    random: np.random.Generator, weights: np.ndarray, excluded: np.ndarray, out: np.ndarray
) -> None:
    """Fill `out` (B, n) with items that are not `excluded` (B, n_items)."""
    width = min(out.shape[1], excluded.shape[1])
    with np.errstate(divide="ignore"):
        arrival = random.standard_exponential(excluded.shape) / weights
    arrival[excluded] = np.inf
    first = np.argpartition(arrival, width - 1, axis=1)[:, :width]  # (B, width)
    times = np.take_along_axis(arrival, first, axis=1)
    order = np.argsort(times, axis=1)
    drawn = np.take_along_axis(first, order, axis=1)
    arrived = np.isfinite(np.take_along_axis(times, order, axis=1))
    out[:, :width] = np.where(arrived, drawn, 0)


class _Rejection:
    """Draws with replacement by the weights (n_items,), until n items are new."""

    def __init__(self, weights: np.ndarray) -> None:
        sums = np.cumsum(weights)
        self.edges = sums / sums[-1]  # item i: from edges[i - 1] to edges[i]
        self.guide = np.searchsorted(self.edges, np.arange(_PARTS + 1) / _PARTS, side="right")

    def items_at(self, uniform: np.ndarray) -> np.ndarray:
        """np.searchsorted(self.edges, uniform, side="right"), without a search in most parts.

        Most of the equal parts of [0, 1) have no edge inside, so all of it is one item's.
        """
        part = (uniform * _PARTS).astype(np.int32)  # exact: _PARTS is a power of 2
        items = self.guide[part]
        divided = np.nonzero(items != self.guide[part + 1])
        items[divided] = np.searchsorted(self.edges, uniform[divided], side="right")
        return items

    def __call__(
        self,
        random: np.random.Generator,
        weights: np.ndarray,
        excluded: np.ndarray,
        out: np.ndarray,
    ) -> None:
        """Fill `out` (B, n) with items not `excluded` (B, n_items), which is overwritten."""
        n, n_items = out.shape[1], excluded.shape[1]
        flags = excluded.reshape(-1)
        first = np.empty(excluded.size, dtype=np.int32)  # of each pair, its first draw in a round
        filled = np.zeros(len(out), dtype=np.int64)
        rows = np.arange(len(out))
        for _ in range(_MOST_ROUNDS):
            uniform = random.random((len(rows), int(n * _SPARE) + 1))
            items = self.items_at(uniform)  # (rows, draws)
            pairs = (rows[:, None] * n_items + items).reshape(-1)
            draws = np.arange(len(pairs), dtype=np.int32)
            first[pairs[::-1]] = draws[::-1]
            new = ((first[pairs] == draws) & ~flags[pairs]).reshape(items.shape)
            slots = filled[rows, None] + np.cumsum(new, axis=1) - 1  # (rows, draws)
            row, draw = np.nonzero(new & (slots < n))
            out[rows[row], slots[row, draw]] = items[row, draw]
            excluded[rows[row], items[row, draw]] = True
            filled += np.bincount(rows[row], minlength=len(out))
            rows = rows[filled[rows] < n]
            if not len(rows):
                return
        for unfilled in rows.tolist():
            one = slice(unfilled, unfilled + 1)
            _race(random, weights, excluded[one], out[one, filled[unfilled] :])
