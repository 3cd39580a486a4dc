"""Intra-list diversity: how little the items of a list have in common.

    ILD@k(u) = 1 / (n (n - 1)) · Σ_{i ≠ j} (1 - cos(c_i, c_j)),   i, j among the first k for u

c_i marks the item's categories with ones (Ziegler et al., WWW 2005, with genres for their
taxonomy). The range is 0, all items of the same categories, to 1, no category shared by any two.
The paper gives no formula: the cosine is chosen since its own similarities (Eqs. 7, 21) are
cosines. Items without a known category are left out of their lists.
"""

from __future__ import annotations

import numpy as np

_CHUNK = 1024  # users whose vectors are held at once


def intra_list_diversity(top: np.ndarray, categories: np.ndarray, k: int) -> np.ndarray:
    """ILD@k of each user, (U,) float64; NaN where fewer than two items have a known category.

    top: (U, K) item ids, best first, 0 = none; categories: (n_items, C), not zero where the item
    is of that category, the pad of none.
    """
    starts = range(0, len(top), _CHUNK)
    parts = [_diversity(categories[top[start : start + _CHUNK, :k]] != 0) for start in starts]
    return np.concatenate(parts) if parts else np.empty(0)


def _diversity(marks: np.ndarray) -> np.ndarray:
    """From marks (U, k, C): |Σ v|² of n unit vectors v is n + Σ_{i≠j} cos, so no pair is formed."""
    sizes = marks.sum(axis=2)  # (U, k)
    n = np.count_nonzero(sizes, axis=1)  # (U,)
    units = marks / np.sqrt(np.maximum(sizes, 1))[:, :, None]  # (U, k, C)
    cosines = (units.sum(axis=1) ** 2).sum(axis=1) - n  # (U,), over ordered pairs
    mean = cosines / np.where(n > 1, n * (n - 1), np.nan)
    return np.clip(1 - mean, 0.0, 1.0)
