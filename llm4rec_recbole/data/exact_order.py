"""Exact order: time, then file order; for all interactions, or user by user."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from llm4rec_recbole.errors import InputError

_SORTED_AT_ONCE = 1 << 16  # interactions


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
