"""Hit rate: is the held-out item among the first k?"""

from __future__ import annotations

import numpy as np


def hit(ranks: np.ndarray, k: int) -> np.ndarray:
    """HR@k of each user: 1 if rank < k, else 0.

    ranks: (U,), 0 = best, ties counted half. Returns (U,) float64. With one held-out item for
    each user it equals Recall@k (Deshpande & Karypis, TOIS 2004).
    """
    return (np.asarray(ranks) < k).astype(np.float64)
