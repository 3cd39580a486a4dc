"""Which interactions train, validate and test: `loo` and `temporal`, in exact order.

Exact order is (time, file order): times keep the precision they were read with, and interactions
at the same time stay in the order of the file. float32, RecBole's own type for times, is refused:
at Unix time it cannot tell interactions apart that lie up to 128 s from each other.

A user's repeated interaction with an item is dropped before splitting, the first one is kept:
items already seen are never candidates, so a repeat could only be a target that no method is
allowed to rank. ml-100k holds no repeats.

Arrays are parallel, one entry per interaction, in file order. Ids are internal: 0 is the padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError

_SPAN = 1 << 16  # interactions sorted at once


@dataclass(frozen=True)
class Split:
    """Row numbers that train, and the held-out items of validation and test.

    `counts` says how many interactions or users each rule left out; the cuts are set by
    `temporal` only, in the unit and type of the times given.
    """

    train: np.ndarray  # (N,) int64, row numbers: user by user, oldest first
    valid: HeldOut
    test: HeldOut
    counts: dict[str, int] = field(default_factory=dict)
    valid_cut: int | float | None = None
    test_cut: int | float | None = None


def exact_order(times: np.ndarray) -> np.ndarray:
    """Row numbers (N,) by time, then file order. `times` is (N,) integer or float64.

    Raises TypeError for a narrower float, InputError for a NaN.
    """
    _check_exact(times)
    return stable_order(times)


def order_by_user(users: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Row numbers (N,) user by user, each user's in exact order: np.lexsort((times, users)), some
    users at a time, so that what is sorted fits the cache. Raises as `exact_order` does."""
    _check_exact(times)
    rows = stable_order(users)
    for some in _some_users(users[rows]):
        own = rows[some]
        who = users[own].astype(np.int64) - int(users[own[0]])
        least, n_times = _whole_range(times[own])
        if (int(who[-1]) + 1) * n_times >= 2**62:
            rows[some] = own[np.lexsort((times[own], who))]
        else:
            key = who * int(n_times) + (times[own].astype(np.int64) - int(least))
            rows[some] = own[stable_order(key)]
    return rows


def _some_users(users: np.ndarray) -> Iterator[slice]:
    """Spans of about 65,536 of the `users` (N,), ascending, none of which divides a user."""
    start = 0
    while start < len(users):
        last = users[min(start + _SPAN, len(users)) - 1]
        stop = int(np.searchsorted(users, last, side="right"))
        yield slice(start, stop)
        start = stop


def stable_order(keys: np.ndarray) -> np.ndarray:
    """np.argsort(keys, kind="stable"), (N,) int64, for keys (N,) of any number type but NaN.

    Whole numbers are sorted together with their places, key << bits | place, which NumPy does
    seven times as fast as it sorts places alone.
    """
    if (keys[1:] >= keys[:-1]).all():
        return np.arange(len(keys))
    n_bits = len(keys).bit_length()
    least, n_keys = _whole_range(keys)
    if n_keys * 2**n_bits >= 2**62:
        return np.argsort(keys, kind="stable")
    packed = keys.astype(np.int64)
    packed -= int(least)
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


def _whole_range(keys: np.ndarray) -> tuple[float, float]:
    """The least key, and the number of whole numbers from it to the largest.

    The number is infinite unless all keys are whole numbers that int64 and float64 both hold. It
    may be larger than float64 counts exactly, so it is an int.
    """
    if not len(keys):
        return 0.0, 1.0
    least, most = float(keys.min()), float(keys.max())
    whole = keys.dtype.kind in "iu" or bool((keys == np.floor(keys)).all())
    exact = whole and max(-least, most) < 2**53
    return least, int(most) - int(least) + 1 if exact else np.inf


def leave_one_out(
    users: np.ndarray, items: np.ndarray, times: np.ndarray, n_items: int | None = None
) -> Split:
    """`loo`: a user's last interaction tests, the one before it validates, the others train.

    The history in validation is what trains; in test it is that and the validation item. A user
    with fewer than three interactions trains only (`counts["users_train_only"]`): two would leave
    the user no history. `n_items` is the catalogue's size, pad included (default: largest id + 1).

    Raises InputError when no user has three, as in a catalogue of fewer than three items.
    """
    log = _Log(users, items, times, n_items)
    held = np.flatnonzero(log.lengths >= 3)
    if not len(held):
        raise InputError(
            f"no user can be tested: none of {len(log.users)} has interacted with three items",
            hint="of each history leave-one-out tests on one, validates on one and trains on the "
            "others: take data with longer ones",
        )
    last = log.ends[held] - 1
    trains = np.ones(len(log.rows), dtype=bool)
    trains[last] = trains[last - 1] = False
    return Split(
        train=log.rows[trains],
        valid=log.held_out(held, last - 1),
        test=log.held_out(held, last),
        counts=log.counts | {"users_train_only": len(log.users) - len(held)},
    )


def temporal_split(
    users: np.ndarray,
    items: np.ndarray,
    times: np.ndarray,
    n_items: int | None = None,
    valid_share: float = 0.1,
    test_share: float = 0.1,
) -> Split:
    """`temporal`: one cut in time for all users; nothing at or after the validation cut trains.

    The cuts are the times of the first interactions of the last `test_share` of the log and of
    the `valid_share` before it. Held out is a user's first interaction at or after the cut (for
    validation: and before the test cut), the history is everything strictly before that cut, so
    in test it includes the validation period. Only users with a training interaction are held
    out; the counts say how many others the cuts would have tested, and how many interactions after
    the validation cut are nobody's target (they may still be seen in a test history).

    Raises InputError when nothing is left to train on or no user can be tested.
    """
    log = _Log(users, items, times, n_items)
    sorted_times = np.sort(log.times)
    test_cut = _cut(sorted_times, 1 - test_share)
    valid_cut = _cut(sorted_times, 1 - test_share - valid_share)
    trains = log.times < valid_cut
    before_valid = log.count(trains)  # (users,)
    before_test = log.count(log.times < test_cut)  # (users,)
    known = before_valid > 0
    in_valid = before_test > before_valid
    in_test = log.lengths > before_test
    valid, test = np.flatnonzero(known & in_valid), np.flatnonzero(known & in_test)
    if not trains.any() or not len(valid) or not len(test):
        raise InputError(
            f"the cuts {valid_cut} and {test_cut} leave {int(trains.sum())} interactions to train "
            f"on, {len(valid)} users to validate on and {len(test)} to test on",
            hint="the data set is too small or its times too alike for the temporal protocol",
        )
    return Split(
        train=log.rows[trains],
        valid=log.held_out(valid, log.starts[valid] + before_valid[valid]),
        test=log.held_out(test, log.starts[test] + before_test[test]),
        counts=log.counts
        | {
            "valid_users_without_training": int((in_valid & ~known).sum()),
            "test_users_without_training": int((in_test & ~known).sum()),
            "later_interactions_not_held_out": int((~trains).sum()) - len(valid) - len(test),
        },
        valid_cut=valid_cut.item(),
        test_cut=test_cut.item(),
    )


def _cut(sorted_times: np.ndarray, share: float) -> np.generic:
    """The time of the first interaction after the earliest `share` of the log."""
    return sorted_times[min(int(len(sorted_times) * share + 1e-6), len(sorted_times) - 1)]


def _has_repeats(users: np.ndarray, items: np.ndarray) -> bool:
    """Whether a pair comes twice, users (N,) ascending: much cheaper to ask than where."""
    n_items = int(items.max()) + 1
    for some in _some_users(users):
        who = (users[some] - users[some.start]).astype(np.int64)
        pairs = np.sort(who * n_items + items[some])
        if (pairs[1:] == pairs[:-1]).any():
            return True
    return False


class _Log:
    """The interactions without repeats, user by user, each user's in exact order."""

    def __init__(
        self, users: np.ndarray, items: np.ndarray, times: np.ndarray, n_items: int | None
    ) -> None:
        if not len(users):
            raise InputError("the data set has no interactions")
        self.n_items = int(items.max()) + 1 if n_items is None else n_items
        self.rows = order_by_user(users, times)  # (N,) row numbers
        of_rows, self.items = users[self.rows], items[self.rows]
        if _has_repeats(of_rows, self.items):
            pairs = of_rows.astype(np.int64) * self.n_items + self.items
            self.rows = self.rows[np.sort(np.unique(pairs, return_index=True)[1])]
            of_rows, self.items = users[self.rows], items[self.rows]
        self.times = times[self.rows]
        self.starts = np.append(0, np.flatnonzero(of_rows[1:] != of_rows[:-1]) + 1)  # (users,)
        self.ends = np.append(self.starts[1:], len(of_rows))
        self.users, self.lengths = of_rows[self.starts], self.ends - self.starts
        self.counts = {"repeats_dropped": len(users) - len(self.rows)}

    def count(self, mask: np.ndarray) -> np.ndarray:
        """How many of each user's interactions are in the mask (N,): (users,)."""
        return np.add.reduceat(mask, self.starts, dtype=np.int64)

    def held_out(self, who: np.ndarray, targets: np.ndarray) -> HeldOut:
        """Hold out `targets` (U,), positions in the log, of users `who` (U,), ascending: what
        precedes it is the history."""
        starts = self.starts[who]
        edges = np.zeros(len(self.rows) + 1, dtype=np.int8)
        edges[starts] += 1
        edges[targets] -= 1
        seen = np.cumsum(edges, dtype=np.int8)[:-1].view(bool)  # (N,) between start and target
        times = self.times[seen]
        return HeldOut(
            users=self.users[who].astype(np.int64),
            targets=self.items[targets].astype(np.int64),
            indptr=np.concatenate([[0], np.cumsum(targets - starts)]).astype(np.int64),
            items=self.items[seen].astype(np.int64, copy=False),
            times=times if times.dtype.kind == "f" else times.astype(np.int64, copy=False),
            n_items=self.n_items,
        )


#: This project's own values of the option `protocol`; "recbole" leaves the split to RecBole.
PROTOCOLS: dict[str, Callable[..., Split]] = {"loo": leave_one_out, "temporal": temporal_split}
