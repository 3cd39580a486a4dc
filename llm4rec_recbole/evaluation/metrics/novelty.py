"""Novelty: how few of the users know what is recommended.

    novelty@k(u) = 1/k · Σ_{i in top-k(u)} -log2 p(i) / log2 |U|,   p(i) = |U_i| / |U|

the mean self-information (Zhou et al., PNAS 2010; Vargas & Castells, RecSys 2011). U are the users
in training and U_i those of them who interacted with i there. The paper gives no formula but prints
values below 1: here the information of an item that one user knows, log2 |U|, is the unit. So the
range is 0, everybody knows all of it, to 1, nobody more than one user. An item that is new after
training counts as known by one user.
"""

from __future__ import annotations

import numpy as np


def item_novelty(user_counts: np.ndarray, n_users: int) -> np.ndarray:
    """Normalised self-information of each item, (n_items,) in 0..1.

    user_counts: (n_items,), how many of the `n_users` training users interacted with each item.
    """
    share = np.maximum(user_counts, 1) / n_users
    return -np.log2(share) / max(np.log2(n_users), 1.0)


def novelty(top: np.ndarray, item_novelty: np.ndarray, k: int) -> np.ndarray:
    """novelty@k of each user, (U,) float64; NaN for an empty list.

    top: (U, K) item ids, best first, 0 = none; item_novelty: (n_items,) from `item_novelty`.
    """
    listed = top[:, :k] > 0  # (U, k)
    n = listed.sum(axis=1)
    total = np.where(listed, item_novelty[top[:, :k]], 0.0).sum(axis=1)
    return total / np.where(n > 0, n, np.nan)
