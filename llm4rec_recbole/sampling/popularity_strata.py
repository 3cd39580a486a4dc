"""Negatives from the positive's own popularity stratum.

The model compares items of like popularity only, so that popularity cannot tell them apart: the
training data's counterpart of conditioning on P = p in Eq. 15.
"""

from __future__ import annotations

import numpy as np

from llm4rec_recbole.components.backdoor import popularity_strata, stratum_prior
from llm4rec_recbole.components.pairs import ObservedPairs
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.sampling.rejection import NegativeSampler


class PopularityStrataSampler(NegativeSampler):
    """Draws uniformly from the stratum of the positive, or for some from another.

    `alpha` is the share drawn from the positive's own stratum; for the others the stratum is drawn
    by P(P = p), its share of the training interactions.
    """

    def __init__(self, seen: ObservedPairs, alpha: float = 1.0, strata: int = 10) -> None:
        super().__init__(seen)
        if not isinstance(alpha, int | float) or not 0 <= alpha <= 1:
            raise InputError(f"alpha must be a share from 0 to 1, not {alpha!r}")
        if not isinstance(strata, int):
            raise InputError(f"strata must be a whole number, not {strata!r}")
        self.alpha = alpha
        self.strata = popularity_strata(seen.popularity(), strata)  # (n_items,)
        self._prior = np.cumsum(stratum_prior(self.strata, seen.popularity()))  # (S,)
        self._items = np.argsort(self.strata[1:], kind="stable") + 1  # stratum by stratum
        self._sizes = np.bincount(self.strata[1:])  # (S,)
        self._starts = np.cumsum(self._sizes) - self._sizes

    def propose(
        self, users: np.ndarray, positives: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        stratum = self.strata[positives]  # (n,)
        if self.alpha < 1:
            drawn = np.searchsorted(self._prior[:-1], random.random(len(users)), side="right")
            stratum = np.where(random.random(len(users)) < self.alpha, stratum, drawn)
        within = (random.random(len(users)) * self._sizes[stratum]).astype(np.int64)
        return self._items[self._starts[stratum] + within]
