"""Splits into training, validation and test interactions: `loo` and `temporal`, in exact order.

Exact order is (time, file order). Times keep the precision they were read with. Interactions with
equal times stay in file order. float32, RecBole's type for times, is refused: it rounds Unix times
to multiples of 128 s.

Of repeated interactions of a user with an item only the first stays. Seen items are never
candidates, so a repeat would be a target that no method may rank. ml-100k has no repeats.

Arrays are parallel, one entry per interaction, in file order. Ids are internal: 0 is the padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError

_SORTED_AT_ONCE = 1 << 16  # interactions


@dataclass(frozen=True, eq=False)
class Split:
    """The row numbers of the training data, and the held-out items of validation and test.

    `counts` has the number of interactions or users that each rule left out. Only `temporal` sets
    the cuts, in the unit and type of the given times. The histories of the held-out items take
    time and memory, so they are made when they are first read.
    """

    train: np.ndarray  # (N,) int64, row numbers: user by user, oldest first
    log: Log
    valid_at: np.ndarray  # (U,) int64, positions in the log of the held-out items of validation
    test_at: np.ndarray  # (U,) int64, and of the test
    counts: dict[str, int] = field(default_factory=dict)
    valid_cut: int | float | None = None
    test_cut: int | float | None = None

    @cached_property
    def valid(self) -> HeldOut:
        """The held-out items of validation, with the history before each."""
        return self.log.held_out(self.valid_at)

    @cached_property
    def test(self) -> HeldOut:
        """The held-out items of the test, with the history before each."""
        return self.log.held_out(self.test_at)

    @property
    def valid_rows(self) -> np.ndarray:
        """The row numbers of the held-out items of validation, (U,) int64."""
        return self.log.rows[self.valid_at]

    @property
    def test_rows(self) -> np.ndarray:
        """The row numbers of the held-out items of the test, (U,) int64."""
        return self.log.rows[self.test_at]


def exact_order(times: np.ndarray) -> np.ndarray:
    """Return row numbers (N,) by time, then file order. `times` is (N,) integer or float64.

    Raises TypeError for a narrower float, InputError for a NaN.
    """
    _check_exact(times)
    return stable_order(times)


def order_by_user(users: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return np.lexsort((times, users)), (N,): row numbers user by user, each in exact order.

    Sorts some users at a time, so that the keys fit into the cache. Raises as `exact_order` does.
    """
    _check_exact(times)
    rows = stable_order(users)
    for span in _user_spans(users if is_ascending(users) else users[rows]):
        own = rows[span]
        user = users[own].astype(np.int64) - int(users[own[0]])
        first, n_times = _integer_range(times[own])
        if (int(user[-1]) + 1) * n_times >= 2**62:
            rows[span] = own[np.lexsort((times[own], user))]
        else:
            key = user * int(n_times) + (times[own].astype(np.int64) - int(first))
            rows[span] = own[stable_order(key)]
    return rows


def _user_spans(users: np.ndarray) -> Iterator[slice]:
    """Yield spans of about 65,536 of the ascending `users` (N,); a user is never divided."""
    start = 0
    while start < len(users):
        last = users[min(start + _SORTED_AT_ONCE, len(users)) - 1]
        stop = int(np.searchsorted(users, last, side="right"))
        yield slice(start, stop)
        start = stop


def is_ascending(keys: np.ndarray) -> bool:
    """Whether no key (N,) is smaller than the one before."""
    return bool((keys[1:] >= keys[:-1]).all())


def stable_order(keys: np.ndarray) -> np.ndarray:
    """Return np.argsort(keys, kind="stable"), (N,) int64, for keys (N,) of any type without NaN.

    Integers are sorted together with their positions, as key << bits | position. NumPy does this
    seven times as fast as argsort.
    """
    if is_ascending(keys):
        return np.arange(len(keys))
    n_bits = len(keys).bit_length()
    lowest, n_keys = _integer_range(keys)
    if n_keys * 2**n_bits >= 2**62:
        return np.argsort(keys, kind="stable")
    packed = keys.astype(np.int64)
    packed -= int(lowest)
    packed <<= n_bits
    packed |= np.arange(len(keys))
    packed.sort()
    packed &= (1 << n_bits) - 1
    return packed


def _check_exact(times: np.ndarray) -> None:
    if times.dtype.kind not in "iu" and times.dtype != np.float64:
        raise TypeError(f"times must be integers or float64 to be exact, not {times.dtype}")
    if times.dtype.kind == "f" and np.isnan(times).any():
        raise InputError(f"interaction {int(np.isnan(times).argmax()) + 1} has no time (NaN)")


def _integer_range(keys: np.ndarray) -> tuple[float, float]:
    """Return the smallest key, and the number of integers from it to the largest key.

    The number is infinite unless all keys are integers that int64 and float64 represent exactly.
    It is an int, since it may exceed the exact integers of float64.
    """
    if not len(keys):
        return 0.0, 1.0
    low, high = float(keys.min()), float(keys.max())
    are_integers = keys.dtype.kind in "iu" or bool((keys == np.floor(keys)).all())
    exact = are_integers and max(-low, high) < 2**53
    return low, int(high) - int(low) + 1 if exact else np.inf


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
    trains = np.ones(len(log.rows), dtype=bool)
    trains[last] = trains[last - 1] = False
    return Split(
        train=log.rows[trains],
        log=log,
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
    sorted_times = np.sort(log.times)
    test_cut = _cut(sorted_times, 1 - test_share)
    valid_cut = _cut(sorted_times, 1 - test_share - valid_share)
    trains = log.times < valid_cut
    before_valid = log.count(trains)  # (users,)
    before_test = log.count(log.times < test_cut)  # (users,)
    trained = before_valid > 0
    in_valid = before_test > before_valid
    in_test = log.lengths > before_test
    valid, test = np.flatnonzero(trained & in_valid), np.flatnonzero(trained & in_test)
    if not trains.any() or not len(valid) or not len(test):
        raise InputError(
            f"the cuts {valid_cut} and {test_cut} leave {int(trains.sum())} interactions to train "
            f"on, {len(valid)} users to validate on and {len(test)} to test on",
            hint="the temporal protocol needs more interactions or more different times",
        )
    return Split(
        train=log.rows[trains],
        log=log,
        valid_at=log.starts[valid] + before_valid[valid],
        test_at=log.starts[test] + before_test[test],
        counts=log.counts
        | {
            "valid_users_without_training": int((in_valid & ~trained).sum()),
            "test_users_without_training": int((in_test & ~trained).sum()),
            "later_interactions_not_held_out": int((~trains).sum()) - len(valid) - len(test),
        },
        valid_cut=valid_cut.item(),
        test_cut=test_cut.item(),
    )


def _cut(sorted_times: np.ndarray, share: float) -> np.generic:
    """Return the time of the first interaction after the earliest `share` of the log."""
    return sorted_times[min(int(len(sorted_times) * share + 1e-6), len(sorted_times) - 1)]


def repeats(users: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions (R,) whose user and item occur earlier, and those where they last did.

    users: (N,), ascending. Sorts some users at a time; without repeats no position is sorted.
    """
    n_items = int(items.max(initial=0)) + 1
    later, earlier = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for span in _user_spans(users):
        pairs = (users[span] - users[span.start]).astype(np.int64) * n_items + items[span]
        in_order = np.sort(pairs)
        if (in_order[1:] == in_order[:-1]).any():
            order = np.argsort(pairs, kind="stable") + span.start
            again = in_order[1:] == in_order[:-1]
            later.append(order[1:][again])
            earlier.append(order[:-1][again])
    return np.concatenate(later), np.concatenate(earlier)


class Log:
    """The interactions without repeats, user by user, each user in exact order.

    n_items: catalogue size with the pad (default: largest id + 1).
    """

    def __init__(
        self, users: np.ndarray, items: np.ndarray, times: np.ndarray, n_items: int | None = None
    ) -> None:
        if not len(users):
            raise InputError("the data set has no interactions")
        self.n_items = int(items.max()) + 1 if n_items is None else n_items
        self.rows = order_by_user(users, times)  # (N,) row numbers
        user_of_row = users if is_ascending(users) else users[self.rows]
        self.items = items[self.rows]
        later, _ = repeats(user_of_row, self.items)
        if len(later):
            self.rows = np.delete(self.rows, later)
            user_of_row, self.items = users[self.rows], items[self.rows]
        self.times = times[self.rows]
        self.starts = np.append(
            0, np.flatnonzero(user_of_row[1:] != user_of_row[:-1]) + 1
        )  # (users,)
        self.ends = np.append(self.starts[1:], len(user_of_row))
        self.users, self.lengths = user_of_row[self.starts], self.ends - self.starts
        self.counts = {"repeats_dropped": len(users) - len(self.rows)}

    def count(self, mask: np.ndarray) -> np.ndarray:
        """Return how many of each user's interactions are in the mask (N,): (users,)."""
        return np.add.reduceat(mask, self.starts, dtype=np.int64)

    def held_out(self, targets: np.ndarray) -> HeldOut:
        """Hold out the positions `targets` (U,), ascending, at most one of each user.

        A user's interactions before the target are the history.
        """
        user_rows = np.searchsorted(self.starts, targets, side="right") - 1  # (U,)
        starts = self.starts[user_rows]
        edges = np.zeros(len(self.rows) + 1, dtype=np.int8)
        edges[starts] += 1
        edges[targets] -= 1
        seen = np.cumsum(edges, dtype=np.int8)[:-1].view(bool)  # (N,) between start and target
        times = self.times[seen]
        return HeldOut(
            users=self.users[user_rows].astype(np.int64),
            targets=self.items[targets].astype(np.int64),
            indptr=np.concatenate([[0], np.cumsum(targets - starts)]).astype(np.int64),
            items=self.items[seen].astype(np.int64, copy=False),
            times=times if times.dtype.kind == "f" else times.astype(np.int64, copy=False),
            n_items=self.n_items,
        )


#: The protocols of this project. With `protocol: recbole`, RecBole splits.
PROTOCOLS: dict[str, Callable[..., Split]] = {"loo": leave_one_out, "temporal": temporal_split}
