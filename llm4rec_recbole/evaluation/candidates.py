"""Sampled candidates: negatives drawn once for each user and shared by all methods."""

from __future__ import annotations

import numpy as np

from llm4rec_recbole.evaluation.held_out import HeldOut

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
    kept = min(n, held_out.n_items)
    step = max(1, _CELLS // held_out.n_items)
    for start in range(0, len(held_out), step):
        rows = np.arange(start, min(start + step, len(held_out)))
        with np.errstate(divide="ignore"):
            arrival = random.standard_exponential((len(rows), held_out.n_items)) / weights
        arrival[held_out.seen_mask(rows)] = np.inf
        arrival[np.arange(len(rows)), held_out.targets[rows]] = np.inf
        first = np.argpartition(arrival, kept - 1, axis=1)[:, :kept]  # (B, kept)
        times = np.take_along_axis(arrival, first, axis=1)
        order = np.argsort(times, axis=1)
        drawn = np.take_along_axis(first, order, axis=1)
        arrived = np.isfinite(np.take_along_axis(times, order, axis=1))
        negatives[rows, :kept] = np.where(arrived, drawn, 0)
    return negatives
