"""Reciprocal rank, cut off at k."""

from __future__ import annotations

import numpy as np


def mrr(ranks: np.ndarray, k: int) -> np.ndarray:
    """MRR@k of each user: 1 / (rank + 1) if rank < k, else 0.

    ranks: (U,), 0 = best, ties counted half. Returns (U,) float64 (Voorhees, TREC-8, 1999).
    """
    ranks = np.asarray(ranks, dtype=np.float64)
    return np.where(ranks < k, 1 / (ranks + 1), 0.0)
