"""The set of observed (user, item) pairs: membership tests, and samples of unobserved pairs."""

from __future__ import annotations

import numpy as np

from llm4rec_recbole.errors import InputError


class ObservedPairs:
    """A set of (user, item) pairs. Ids are internal; no pair has the pad, 0.

    users, items: (N,) integers, repeats allowed; n_users, n_items include the pad. Raises
    InputError when there are no pairs, or an id lies outside 1 .. n - 1.
    """

    def __init__(self, users: np.ndarray, items: np.ndarray, n_users: int, n_items: int) -> None:
        for name, ids, n in (("user", users, n_users), ("item", items, n_items)):
            if len(ids) and not (ids.min() >= 1 and ids.max() < n):
                raise InputError(f"a {name} id lies outside 1 .. {n - 1}")
        if not len(users):
            raise InputError("there are no interactions")
        self.n_users, self.n_items = n_users, n_items
        self._keys = np.unique(users.astype(np.int64) * n_items + items)  # (P,), sorted

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def users(self) -> np.ndarray:
        """The user of each distinct pair, (P,), ascending."""
        return self._keys // self.n_items

    @property
    def items(self) -> np.ndarray:
        """The item of each distinct pair, (P,)."""
        return self._keys % self.n_items

    @property
    def n_unobserved(self) -> int:
        """The number of unobserved pairs of a user and an item, without pads."""
        return (self.n_users - 1) * (self.n_items - 1) - len(self)

    def activity(self) -> np.ndarray:
        """The number of distinct items of each user, (n_users,) int64."""
        return np.bincount(self.users, minlength=self.n_users)

    def popularity(self) -> np.ndarray:
        """The number of distinct users of each item, (n_items,) int64."""
        return np.bincount(self.items, minlength=self.n_items)

    def contains(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether each pair was observed: (N,) bool from users (N,) and items (N,)."""
        keys = np.asarray(users, dtype=np.int64) * self.n_items + items
        index = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return self._keys[index] == keys

    def draw_unobserved(self, n: int, random: np.random.Generator) -> np.ndarray:
        """Draw `n` unobserved pairs, uniformly and with replacement: (2, n) int64. Raises
        InputError when every pair was observed."""
        if not self.n_unobserved:
            raise InputError("every user has interacted with every item")
        if len(self) > self.n_unobserved:  # few are unobserved: list them
            all_keys = np.arange(1, self.n_users)[:, None] * self.n_items + np.arange(
                1, self.n_items
            )
            keys = random.choice(np.setdiff1d(all_keys, self._keys, assume_unique=True), n)
            return np.stack([keys // self.n_items, keys % self.n_items])
        pairs = np.zeros((2, n), dtype=np.int64)
        missing = np.arange(n)
        while len(missing):
            pairs[0, missing] = random.integers(1, self.n_users, len(missing))
            pairs[1, missing] = random.integers(1, self.n_items, len(missing))
            missing = missing[self.contains(*pairs[:, missing])]
        return pairs
