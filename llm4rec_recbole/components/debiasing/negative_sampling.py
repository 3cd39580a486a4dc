"""Negative samplers for training, by propensity or by popularity stratum.

    train_neg_sample_args: {distribution: propensity}          PropensitySampler
    train_neg_sample_args: {distribution: popularity_strata}   PopularityStrataSampler

Both sample by rejection: they propose items for a whole batch and redraw items that a user has had.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from llm4rec_recbole.components.debiasing.backdoor import popularity_strata, stratum_prior
from llm4rec_recbole.components.debiasing.propensity import ObservedPairs, fit_propensity
from llm4rec_recbole.errors import InputError

MAX_ROUNDS = 100  # after them, unused items are listed for the few users that remain
LEVELS = 64  # of activity: the users of one level share one distribution
DISTRIBUTIONS = ("propensity", "popularity_strata")
DEFAULT_STRATA = 10


class NegativeSampler:
    """Draws items that a user has not had, among the proposals of a subclass.

    Random numbers come from torch's global generator, whose state is part of each checkpoint.
    Raises InputError when a user has had every item.
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

    def sample_by_user_ids(self, user_ids: np.ndarray, item_ids: np.ndarray, num: int) -> Tensor:
        """`num` negatives for each user (N,) and positive (N,), (num · N,) int64, in RecBole's
        order: the first negative of every row, then the second of every row. No negative is the
        positive or an item that the user has had in training."""
        random = np.random.default_rng(int(torch.randint(2**62, ()).item()))
        users, positives = np.tile(user_ids, num), np.tile(item_ids, num)
        negatives = np.zeros(len(users), dtype=np.int64)
        missing = np.arange(len(users))
        for _ in range(MAX_ROUNDS):
            negatives[missing] = self.propose(users[missing], positives[missing], random)
            drawn = negatives[missing]
            used = self.seen.contains(users[missing], drawn) | (drawn == positives[missing])
            missing = missing[used]
            if not len(missing):
                return torch.from_numpy(negatives)
        items = np.arange(1, self.seen.n_items)
        for row in missing:
            user = np.full(len(items), users[row])
            unused = items[~self.seen.contains(user, items) & (items != positives[row])]
            if not len(unused):
                raise InputError(f"user {users[row]} has no item left that could be a negative")
            negatives[row] = random.choice(unused)
        return torch.from_numpy(negatives)


class PropensitySampler(NegativeSampler):
    """Draws item i for user u with probability proportional to e(u, i) ^ alpha.

    An item that a user probably saw (13) and did not choose is better evidence of dislike than one
    that the user probably never saw. e depends on the user through activity only. So users are
    grouped into at most LEVELS levels of activity, each represented by its middle user. alpha = 0
    is uniform; a negative alpha prefers items that are unlikely to be seen.
    """

    def __init__(self, seen: ObservedPairs, alpha: float = 1.0) -> None:
        super().__init__(seen)
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
        below = np.cumsum(weights / weights.sum(1, keepdims=True), axis=1)
        below[:, -1] = 1
        #: Cumulative shares, row r between r and r + 1: one bisection serves all rows.
        self._below = (below + np.arange(len(weights))[:, None]).ravel()  # (levels · n_items,)

    def propose(
        self, users: np.ndarray, positives: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        draws = self._level[users] + random.random(len(users))  # (n,)
        return np.searchsorted(self._below, draws, side="right") % self.seen.n_items


class PopularityStrataSampler(NegativeSampler):
    """Draws uniformly from the popularity stratum of the positive, or of another stratum.

    The model then compares items of similar popularity, as conditioning on P = p in (15) does.
    `alpha` is the share drawn from the positive's own stratum. Others are drawn by P(P = p).
    """

    def __init__(self, seen: ObservedPairs, alpha: float = 1.0, strata: int = 10) -> None:
        super().__init__(seen)
        if not 0 <= alpha <= 1:
            raise InputError(f"alpha must be a share from 0 to 1, not {alpha!r}")
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


def make_sampler(seen: ObservedPairs, options: dict[str, Any]) -> NegativeSampler:
    """The sampler of `options`, a train_neg_sample_args, for the training pairs `seen`.
    `distribution` is one of DISTRIBUTIONS; see the samplers for `alpha` and `strata`. Raises
    InputError for invalid values."""
    if options["distribution"] == "propensity":
        return PropensitySampler(seen, options["alpha"])
    strata = options.get("strata", DEFAULT_STRATA)
    return PopularityStrataSampler(seen, options["alpha"], strata)
