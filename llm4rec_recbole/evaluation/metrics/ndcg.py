"""Normalised discounted cumulative gain with one relevant item."""

from __future__ import annotations

import numpy as np


def ndcg(ranks: np.ndarray, k: int) -> np.ndarray:
    """NDCG@k of each user: 1 / log2(rank + 2) if rank < k, else 0.

    ranks: (U,), 0 = best, ties counted half. Returns (U,) float64. The ideal list has the one
    held-out item first, so the ideal gain is 1 (Järvelin & Kekäläinen, TOIS 2002).
    """
    ranks = np.asarray(ranks, dtype=np.float64)
    return np.where(ranks < k, 1 / np.log2(ranks + 2), 0.0)
