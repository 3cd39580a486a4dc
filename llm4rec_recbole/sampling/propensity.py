"""Negatives by propensity: likely to have been seen, and yet not chosen.

An item that a user was likely to meet (Eq. 13) and did not take is better evidence of dislike
than one that the user has probably never met.
"""

from __future__ import annotations

import numpy as np
import torch

from llm4rec_recbole.components.pairs import ObservedPairs
from llm4rec_recbole.components.propensity import fit_propensity
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.sampling.rejection import NegativeSampler

LEVELS = 64  # of activity: users of one level share one distribution


class PropensitySampler(NegativeSampler):
    """Draws item i for user u with probability proportional to e(u, i) ^ alpha.

    e depends on the user through activity only. Users are put into at most 64 levels by ascending
    activity, and the middle user of a level stands for all of it: exact up to 64 users, close
    above. alpha 1 is the propensity, 0 is uniform; a negative one prefers the unlikely.
    """

    def __init__(self, seen: ObservedPairs, alpha: float = 1.0) -> None:
        super().__init__(seen)
        if not isinstance(alpha, int | float) or not np.isfinite(alpha):
            raise InputError(f"alpha must be a number, not {alpha!r}")
        self.model = fit_propensity(seen.users, seen.items, seen.n_users, seen.n_items)
        n_real = seen.n_users - 1
        order = np.argsort(seen.activity()[1:], kind="stable") + 1  # (n_real,) users
        level_of_rank = np.arange(n_real) * min(LEVELS, n_real) // n_real
        self._level = np.zeros(seen.n_users, dtype=np.int64)
        self._level[order] = level_of_rank
        first, size = np.unique(level_of_rank, return_index=True, return_counts=True)[1:]
        middle = torch.from_numpy(order[first + size // 2])  # (levels,)
        with torch.no_grad():
            likely = self.model(middle[:, None], torch.arange(seen.n_items)).double().numpy()
        weights = np.maximum(likely, 1e-12) ** alpha  # (levels, n_items)
        weights[:, 0] = 0
        self._below = _cumulative(weights)

    def propose(
        self, users: np.ndarray, positives: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        at = self._level[users] + random.random(len(users))  # (n,)
        return np.searchsorted(self._below, at, side="right") % self.seen.n_items


def _cumulative(weights: np.ndarray) -> np.ndarray:
    """Each row's cumulative shares, row r between r and r + 1: (rows · n,), ascending.

    A draw from row r is where r + a uniform number falls: one bisection for all rows.
    """
    below = np.cumsum(weights / weights.sum(1, keepdims=True), axis=1)
    below[:, -1] = 1
    return (below + np.arange(len(weights))[:, None]).ravel()
