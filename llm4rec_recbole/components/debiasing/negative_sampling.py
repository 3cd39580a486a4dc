"""Negatives by rejection: propose for a whole batch at once, redraw what a user has used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from llm4rec_recbole.components.debiasing.backdoor import popularity_strata, stratum_prior
from llm4rec_recbole.components.debiasing.observed_pairs import ObservedPairs
from llm4rec_recbole.components.debiasing.propensity import fit_propensity
from llm4rec_recbole.errors import InputError

if TYPE_CHECKING:
    from llm4rec_recbole.components.debiasing.observed_pairs import ObservedPairs


MOST_ROUNDS = 100  # then the few users left, who have used nearly all that is proposed, are listed


class NegativeSampler:
    """Draws items that a user has not used; what is proposed is up to the subclass.

    Randomness comes from torch's global generator, whose state is part of every checkpoint. Raises
    InputError when a user has used every item.
    """

    def __init__(self, seen: ObservedPairs) -> None:
        """seen: the training pairs, nothing later."""
        self.seen = seen
        full = np.flatnonzero(seen.activity() == seen.n_items - 1)
        if len(full):
            raise InputError(
                f"{len(full)} users have interacted with every item, so they have no negatives",
                hint="leave them out with user_inter_num_interval",
            )

    def propose(
        self, users: np.ndarray, positives: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        """An item, never the pad, for each user (n,) and positive (n,): (n,) int64."""
        raise NotImplementedError

    def sample_by_user_ids(
        self, user_ids: np.ndarray, item_ids: np.ndarray, num: int
    ) -> torch.Tensor:
        """`num` negatives for each user (N,) and positive (N,), (num · N,) int64.

        In RecBole's order: the first negative of every row, then the second of every row, and so
        on. None is the positive or an item that the user has used in training.
        """
        random = np.random.default_rng(int(torch.randint(2**62, ()).item()))
        users, positives = np.tile(user_ids, num), np.tile(item_ids, num)
        negatives = np.zeros(len(users), dtype=np.int64)
        missing = np.arange(len(users))
        for _ in range(MOST_ROUNDS):
            negatives[missing] = self.propose(users[missing], positives[missing], random)
            drawn = negatives[missing]
            used = self.seen.contains(users[missing], drawn) | (drawn == positives[missing])
            missing = missing[used]
            if not len(missing):
                return torch.from_numpy(negatives)
        for row in missing:
            negatives[row] = self._any_unused(users[row], positives[row], random)
        return torch.from_numpy(negatives)

    def _any_unused(self, user: int, positive: int, random: np.random.Generator) -> int:
        items = np.arange(1, self.seen.n_items)
        unused = ~self.seen.contains(np.full(len(items), user), items) & (items != positive)
        if not unused.any():
            raise InputError(f"user {user} has no item left that could be a negative")
        return int(random.choice(items[unused]))


# Negatives by propensity: likely to have been seen, and yet not chosen.
#
# An item that a user was likely to meet (Eq. 13) and did not take is better evidence of dislike
# than one that the user has probably never met.


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


# Negatives from the positive's own popularity stratum.
#
# The model compares items of like popularity only, so that popularity cannot tell them apart: the
# training data's counterpart of conditioning on P = p in Eq. 15.


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


# Negatives for training, drawn by causal components; reached by RecBole's own option:
#
# train_neg_sample_args: {distribution: propensity}           sampling/propensity.py
# train_neg_sample_args: {distribution: popularity_strata}    sampling/popularity_strata.py


DISTRIBUTIONS = ("propensity", "popularity_strata")
DEFAULT_STRATA = 10


def make_sampler(seen: ObservedPairs, options: dict[str, Any]) -> NegativeSampler:
    """The sampler that `options`, a train_neg_sample_args, asks for, given the training pairs.

    `distribution` is one of DISTRIBUTIONS; `alpha` as each sampler reads it; `strata` (default 10)
    is how many strata of popularity there are. Raises InputError for values that make no sense.
    """
    if options["distribution"] == "propensity":
        return PropensitySampler(seen, options["alpha"])
    strata = options.get("strata", DEFAULT_STRATA)
    return PopularityStrataSampler(seen, options["alpha"], strata)
