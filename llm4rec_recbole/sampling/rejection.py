"""Negatives by rejection: propose for a whole batch at once, redraw what a user has used."""

from __future__ import annotations

import numpy as np
import torch

from llm4rec_recbole.components.pairs import ObservedPairs
from llm4rec_recbole.errors import InputError

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
