"""The held-out items and each user's history before them: the input of every ranking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

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

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each row's history starts in the arrays that the methods read, (U,) int64."""
        return self.indptr[:-1]

    @cached_property
    def stops(self) -> np.ndarray:
        """Where each row's history stops in the arrays that the methods read, (U,) int64."""
        return self.indptr[1:]

    def history(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """The items (S,) int64 and times (S,) of one row's history, oldest first."""
        own = slice(self.starts[row], self.stops[row])
        return self._items_at(own), self._times_at(own)

    def lengths(self, rows: np.ndarray) -> np.ndarray:
        """How many items the histories of `rows` (B,) have, (B,) int64."""
        return self.stops[rows] - self.starts[rows]

    def seen(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pairs of a row and an item of its history: two arrays, (pairs,) each.

        The first numbers the rows from 0 in the order of `rows`.
        """
        row_of, where = self._seen_at(rows)
        return row_of, self._items_at(where)

    def _items_at(self, where: np.ndarray | slice) -> np.ndarray:
        return self.items[where]

    def _times_at(self, where: np.ndarray | slice) -> np.ndarray:
        return self.times[where]

    def _seen_at(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`seen`, with positions in the histories' arrays for the items."""
        starts, lengths = self.starts[rows], self.lengths(rows)  # (B,)
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
            self._items_at(where),
            self._times_at(where),
            self.n_items,
        )

    def query_times(self, target_times: np.ndarray) -> np.ndarray:
        """Return when each row is ranked, (U,) float64: just after its last seen item.

        target_times: (U,), when the held-out items were chosen. Where the last seen item has the
        same time as the held-out item, the query time is that time. So whatever lies strictly
        before the query time lies strictly before the held-out interaction too.
        """
        last = self.last_times().astype(np.float64)
        return np.minimum(np.nextafter(last, np.inf), target_times)

    def last_times(self) -> np.ndarray:
        """When the last item of each history was seen, (U,); each row must have a history."""
        return self._times_at(self.stops - 1)

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
        stops = self.stops[rows]
        lengths = np.minimum(self.lengths(rows), length)  # (B,)
        column = np.arange(length)
        filled = column < lengths[:, None]  # (B, length)
        ids = np.zeros((len(rows), length), dtype=np.int64)
        ids[filled] = self._items_at(((stops - lengths)[:, None] + column)[filled])
        return ids, lengths


class HeldOutOfLog(HeldOut):
    """Held-out items whose histories are parts of one log of all interactions, user by user.

    The methods read the log, so several phases share its memory. The first reading of `indptr`,
    `items` or `times` copies the histories.
    """

    _log: tuple[np.ndarray, np.ndarray]
    _time_type: np.dtype

    def __init__(
        self,
        users: np.ndarray,
        targets: np.ndarray,
        starts: np.ndarray,
        stops: np.ndarray,
        log: tuple[np.ndarray, np.ndarray],
        time_type: np.dtype,
        n_items: int,
    ) -> None:
        """The history of row u is positions starts[u]:stops[u] of the log.

        users, targets, starts, stops: (U,) int64. log: items and times, (N,) each, of any integer
        types. time_type: the type of the times that the methods return.
        """
        vars(self).update(users=users, targets=targets, starts=starts, stops=stops)
        vars(self).update(n_items=n_items, _log=log, _time_type=time_type)

    def _items_at(self, where: np.ndarray | slice) -> np.ndarray:
        return self._log[0][where].astype(np.int64, copy=False)

    def _times_at(self, where: np.ndarray | slice) -> np.ndarray:
        return self._log[1][where].astype(self._time_type, copy=False)

    @cached_property
    def _in_a_history(self) -> np.ndarray:
        """Mask (N,) of the log. Its histories are in the order of the rows."""
        return between(self.starts, self.stops, len(self._log[0]))

    @cached_property
    def indptr(self) -> np.ndarray:
        return np.append(0, np.cumsum(self.stops - self.starts))

    @cached_property
    def items(self) -> np.ndarray:
        return self._items_at(self._in_a_history)

    @cached_property
    def times(self) -> np.ndarray:
        return self._times_at(self._in_a_history)


def between(starts: np.ndarray, stops: np.ndarray, n: int) -> np.ndarray:
    """Mask (n,) of the positions from a start to before its stop; ascending, without overlap."""
    edges = np.append(np.stack([starts, stops], 1).ravel(), n)
    outside_and_inside = np.arange(len(edges)) % 2 == 1
    return np.repeat(outside_and_inside, np.diff(edges, prepend=0))


@dataclass(frozen=True, eq=False)
class Outcomes:
    """When the held-out items of a phase were chosen, and whether their users liked them.

    It is apart from HeldOut, which is all that a ranking may read.
    """

    times: np.ndarray  # (U,), in seconds
    liked: np.ndarray | None = None  # (U,) bool, from the ratings; None without ratings


class RatedOutcomes(Outcomes):
    """Outcomes whose `liked` is computed when it is first read."""

    _compute: Callable[[], np.ndarray]

    def __init__(self, times: np.ndarray, liked: Callable[[], np.ndarray]) -> None:
        vars(self).update(times=times, _compute=liked)

    @cached_property
    def liked(self) -> np.ndarray:
        return self._compute()
