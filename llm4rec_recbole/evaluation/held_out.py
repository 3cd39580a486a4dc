"""The held-out item of each user, and what the user did before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class HeldOut:
    """One held-out item for each user, with all the user did before it, oldest first."""

    users: np.ndarray  # (U,) int64
    targets: np.ndarray  # (U,) int64
    indptr: np.ndarray  # (U + 1,) int64; history of row u is items[indptr[u]:indptr[u + 1]]
    items: np.ndarray  # (H,) int64, seen items in exact order, oldest first
    times: np.ndarray  # (H,) int64 or float64, when they were seen
    n_items: int  # catalogue size, pad included

    def __len__(self) -> int:
        return len(self.users)
