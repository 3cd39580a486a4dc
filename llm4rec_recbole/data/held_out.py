"""The held-out items and each user's history before them: the input of every ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One held-out item per row, with the user's history before it, oldest first.

    Ids are RecBole's internal ones: 0 is the pad, items are 1 to n_items - 1. A user may have
    several rows. Raises ValueError if the arrays do not fit together.
    """

    users: np.ndarray  # (U,) int64
    targets: np.ndarray  # (U,) int64
    indptr: np.ndarray  # (U + 1,) int64; the history of row u is items[indptr[u]:indptr[u + 1]]
    items: np.ndarray  # (H,) int64, seen items in exact order, oldest first
    times: np.ndarray  # (H,) int64 or float64, when they were seen, in seconds
    n_items: int  # catalogue size, pad included

    def __post_init__(self) -> None:
        n_rows, n_seen = len(self.users), len(self.items)
        if len(self.targets) != n_rows or len(self.indptr) != n_rows + 1:
            raise ValueError("users, targets and indptr must have U, U and U + 1 entries")
        if len(self.times) != n_seen or self.indptr[0] != 0 or self.indptr[-1] != n_seen:
            raise ValueError("items and times must have indptr[-1] entries")
        if (np.diff(self.indptr) < 0).any():
            raise ValueError("indptr must not decrease")
        for name, ids in (("targets", self.targets), ("items", self.items)):
            if len(ids) and not (ids.min() >= 1 and ids.max() < self.n_items):
                raise ValueError(f"{name} must lie between 1 and n_items - 1 = {self.n_items - 1}")

    def __len__(self) -> int:
        return len(self.users)

    def seen(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pairs of a row and an item of its history: two arrays, (pairs,) each.

        The first numbers the rows from 0 in the order of `rows`.
        """
        row_of, where = self._seen_at(rows)
        return row_of, self.items[where]

    def _seen_at(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`seen`, with indices into `items` and `times` for the items."""
        starts, lengths = self.indptr[rows], self.indptr[rows + 1] - self.indptr[rows]  # (B,)
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return np.repeat(np.arange(len(rows)), lengths), np.repeat(starts, lengths) + within

    def subset(self, rows: np.ndarray) -> HeldOut:
        """The rows `rows` (B,) alone, in their order."""
        row_of, where = self._seen_at(rows)
        indptr = np.concatenate([[0], np.cumsum(np.bincount(row_of, minlength=len(rows)))])
        return HeldOut(
            self.users[rows],
            self.targets[rows],
            indptr,
            self.items[where],
            self.times[where],
            self.n_items,
        )

    def query_times(self, target_times: np.ndarray) -> np.ndarray:
        """Return when each row is ranked, (U,) float64: just after its last seen item.

        target_times: (U,), when the held-out items were chosen. Where the last seen item has the
        same time as the held-out item, the query time is that time. So whatever lies strictly
        before the query time lies strictly before the held-out interaction too.
        """
        last = self.times[self.indptr[1:] - 1].astype(np.float64)
        return np.minimum(np.nextafter(last, np.inf), target_times)

    def seen_mask(self, rows: np.ndarray) -> np.ndarray:
        """Return (B, n_items) bool, True for the items of each row's history and the pad."""
        mask = np.zeros((len(rows), self.n_items), dtype=bool)
        mask[:, 0] = True
        mask[self.seen(rows)] = True
        return mask

    def last(self, rows: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the last `length` items of each row's history, oldest first, and their number.

        The ids are (B, length) int64, padded on the right; the numbers are (B,) int64.
        """
        stops = self.indptr[rows + 1]
        lengths = np.minimum(stops - self.indptr[rows], length)  # (B,)
        column = np.arange(length)
        filled = column < lengths[:, None]  # (B, length)
        ids = np.zeros((len(rows), length), dtype=np.int64)
        ids[filled] = self.items[((stops - lengths)[:, None] + column)[filled]]
        return ids, lengths


@dataclass(frozen=True, eq=False)
class Outcomes:
    """When the held-out items of a phase were chosen, and whether their users liked them.

    It is apart from HeldOut, which is all that a ranking may read.
    """

    times: np.ndarray  # (U,), in seconds
    liked: np.ndarray | None = None  # (U,) bool, from the ratings; None without ratings
