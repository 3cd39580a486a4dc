"""Splits into training, validation and test interactions: `loo` and `temporal`, in exact order.

Exact order is (time, file order). Times keep the precision they were read with. Interactions with
equal times stay in file order. float32, RecBole's type for times, is refused: it rounds Unix times
to multiples of 128 s.

Of repeated interactions of a user with an item only the first stays. Seen items are never
candidates, so a repeat would be a target that no method may rank. ml-100k has no repeats.

Arrays are parallel, one entry per interaction, in file order. Ids are internal: 0 is the padding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from llm4rec_recbole.data.exact_order import is_ascending, order_by_user, repeats
from llm4rec_recbole.data.held_out import HeldOut, HeldOutOfLog, between
from llm4rec_recbole.errors import InputError

_COUNTED_AT_ONCE = 1 << 20  # interactions; NumPy copies them to int64


@dataclass(frozen=True, eq=False)
class Split:
    """The training interactions, and the held-out items of validation and test.

    Each user trains on the first interactions of his part of the log. `counts` has the number of
    interactions or users that each rule left out. Only `temporal` sets the cuts, in the unit and
    type of the given times.
    """

    log: Log
    train_stops: np.ndarray  # (users,) int64: a user trains on positions log.starts:train_stops
    valid_at: np.ndarray  # (U,) int64, positions in the log of the held-out items of validation
    test_at: np.ndarray  # (U,) int64, and of the test
    counts: dict[str, int] = field(default_factory=dict)
    valid_cut: int | float | None = None
    test_cut: int | float | None = None

    @cached_property
    def in_training(self) -> np.ndarray:
        """Mask (N,) of the log's positions that train."""
        return between(self.log.starts, self.train_stops, len(self.log.rows))

    @cached_property
    def train(self) -> np.ndarray:
        """The row numbers of the training interactions, (n,): user by user, oldest first."""
        return self.log.rows[self.in_training]

    @cached_property
    def train_counts(self) -> np.ndarray:
        """The training interactions of each item, (n_items,) int64."""
        later = self.log.items[~self.in_training]
        return self.log.item_counts - np.bincount(later, minlength=self.log.n_items)

    @cached_property
    def valid(self) -> HeldOut:
        """The held-out items of validation, with the history before each."""
        return self.log.held_out(self.valid_at)

    @cached_property
    def test(self) -> HeldOut:
        """The held-out items of the test, with the history before each."""
        return self.log.held_out(self.test_at)

    @property
    def test_rows(self) -> np.ndarray:
        """The row numbers of the held-out items of the test, (U,) int64."""
        return self.log.rows[self.test_at]


def leave_one_out(log: Log) -> Split:
    """`loo`: a user's last interaction is the test, the one before the validation, others train.

    The history in validation is the training interactions; in test it includes the validation item.
    A user with fewer than three interactions only trains (`counts["users_train_only"]`), since two
    would leave no history.

    Raises InputError if no user has three interactions.
    """
    testable = np.flatnonzero(log.lengths >= 3)
    if not len(testable):
        raise InputError(
            f"no user can be tested: none of {len(log.users)} has interacted with three items",
            hint="leave-one-out needs an item each for test, validation and training",
        )
    last = log.ends[testable] - 1
    train_stops = log.ends.copy()
    train_stops[testable] -= 2
    return Split(
        log=log,
        train_stops=train_stops,
        valid_at=last - 1,
        test_at=last,
        counts=log.counts | {"users_train_only": len(log.users) - len(testable)},
    )


def temporal_split(log: Log, valid_share: float = 0.1, test_share: float = 0.1) -> Split:
    """`temporal`: one cut in time for all users; only earlier interactions train.

    The cuts are the times of the first interactions of the last `test_share` of the log and of
    the `valid_share` before it. A user's held-out item is the first at or after a cut; for
    validation it must be before the test cut. The history is everything strictly before the cut,
    so the test history includes the validation period. Only users with training interactions are
    held out. `counts` has the number of other users that the cuts would test. It also has the
    number of interactions after the validation cut that are no target; a test history may have
    them.

    Raises InputError if nothing is left to train on or no user can be tested.
    """
    n = len(log.times)
    positions = [_cut_at(n, 1 - test_share), _cut_at(n, 1 - test_share - valid_share)]
    in_time_order = np.partition(log.times, positions)  # at these positions, as if sorted
    test_cut, valid_cut = in_time_order[positions].astype(log.time_type)
    before_valid = log.count(log.times < valid_cut)  # (users,)
    before_test = log.count(log.times < test_cut)  # (users,)
    trained = before_valid > 0
    in_valid = before_test > before_valid
    in_test = log.lengths > before_test
    valid, test = np.flatnonzero(trained & in_valid), np.flatnonzero(trained & in_test)
    n_train = int(before_valid.sum())
    if not n_train or not len(valid) or not len(test):
        raise InputError(
            f"the cuts {valid_cut} and {test_cut} leave {n_train} interactions to train "
            f"on, {len(valid)} users to validate on and {len(test)} to test on",
            hint="the temporal protocol needs more interactions or more different times",
        )
    return Split(
        log=log,
        train_stops=log.starts + before_valid,
        valid_at=log.starts[valid] + before_valid[valid],
        test_at=log.starts[test] + before_test[test],
        counts=log.counts
        | {
            "valid_users_without_training": int((in_valid & ~trained).sum()),
            "test_users_without_training": int((in_test & ~trained).sum()),
            "later_interactions_not_held_out": n - n_train - len(valid) - len(test),
        },
        valid_cut=valid_cut.item(),
        test_cut=test_cut.item(),
    )


def _cut_at(n: int, share: float) -> int:
    """Return how many of `n` interactions come before a cut after the earliest `share` of them."""
    return min(int(n * share + 1e-6), n - 1)


class Log:
    """The interactions without repeats, user by user, each user in exact order.

    n_items: catalogue size with the pad (default: largest id + 1).
    """

    rows: np.ndarray  # (N,) row numbers in the file
    items: np.ndarray  # (N,) item ids
    times: np.ndarray  # (N,)
    time_type: np.dtype  # of the times in the results
    starts: np.ndarray  # (users,) int64: user u has positions starts[u]:ends[u]
    users: np.ndarray  # (users,) user ids, ascending

    def __init__(
        self, users: np.ndarray, items: np.ndarray, times: np.ndarray, n_items: int | None = None
    ) -> None:
        if not len(users):
            raise InputError("the data set has no interactions")
        self.n_items = int(items.max()) + 1 if n_items is None else n_items
        self.rows = order_by_user(users, times)
        user_of_row = users if is_ascending(users) else users[self.rows]
        self.items = items[self.rows]
        later, _ = repeats(user_of_row, self.items)
        if len(later):
            self.rows = np.delete(self.rows, later)
            user_of_row, self.items = users[self.rows], items[self.rows]
        self.times = times[self.rows]
        self.time_type = np.dtype(np.float64 if times.dtype.kind == "f" else np.int64)
        self.starts = np.append(0, np.flatnonzero(user_of_row[1:] != user_of_row[:-1]) + 1)
        self.users = user_of_row[self.starts]
        self.counts = {"repeats_dropped": len(users) - len(self.rows)}

    @classmethod
    def stored(
        cls,
        arrays: dict[str, np.ndarray],
        time_type: np.dtype,
        n_items: int,
        counts: dict[str, int],
    ) -> Log:
        """The log of which `arrays` has rows, items, times, starts and users, of any integer type.

        It is not checked: data/stored_log.py writes and reads it.
        """
        log = cls.__new__(cls)
        vars(log).update(arrays)
        log.time_type, log.n_items, log.counts = time_type, n_items, counts
        return log

    @cached_property
    def ends(self) -> np.ndarray:
        """Where each user's interactions end, (users,) int64."""
        return np.append(self.starts[1:], len(self.rows))

    @property
    def lengths(self) -> np.ndarray:
        """How many interactions each user has, (users,) int64."""
        return self.ends - self.starts

    @cached_property
    def item_counts(self) -> np.ndarray:
        """The interactions of each item, (n_items,) int64."""
        counts = np.zeros(self.n_items, dtype=np.int64)
        for start in range(0, len(self.items), _COUNTED_AT_ONCE):
            block = self.items[start : start + _COUNTED_AT_ONCE]
            counts += np.bincount(block, minlength=self.n_items)
        return counts

    def count(self, mask: np.ndarray) -> np.ndarray:
        """Return how many of each user's interactions are in the mask (N,): (users,)."""
        return np.add.reduceat(mask, self.starts, dtype=np.int64)

    def held_out(self, targets: np.ndarray) -> HeldOut:
        """Hold out the positions `targets` (U,), ascending, at most one of each user.

        A user's interactions before the target are the history.
        """
        user_rows = np.searchsorted(self.starts, targets, side="right") - 1  # (U,)
        return HeldOutOfLog(
            users=self.users[user_rows].astype(np.int64),
            targets=self.items[targets].astype(np.int64),
            starts=self.starts[user_rows],
            stops=targets,
            log=(self.items, self.times),
            time_type=self.time_type,
            n_items=self.n_items,
        )


#: The protocols of this project. With `protocol: recbole`, RecBole splits.
PROTOCOLS: dict[str, Callable[..., Split]] = {"loo": leave_one_out, "temporal": temporal_split}
