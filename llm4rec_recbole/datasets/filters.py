"""Which interactions are used: no duplicates, then the `filters` of the property file."""

from __future__ import annotations

import operator
import re

import numpy as np

from llm4rec_recbole.datasets.base import RawLog, RowReport
from llm4rec_recbole.datasets.spec import Filters
from llm4rec_recbole.errors import InputError

_COMPARE = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}


def apply(log: RawLog, filters: Filters, row_report: RowReport) -> np.ndarray:
    """Mask (N,) bool of the interactions that are used. `row_report` counts the others.

    Three steps, in this order: drop repetitions of user, item and time (the first one remains);
    drop ratings that do not meet `filters.rating`; keep the largest `filters.core`-core.
    Raises InputError for a rating filter on data without ratings.
    """
    row_mask = ~_repeated(log)
    row_report.drop("same user, item and time again", count=int((~row_mask).sum()))
    if filters.rating is not None:
        if log.ratings is None:
            message = f"cannot filter by rating {filters.rating!r}: the data has no ratings"
            raise InputError(message, file=row_report.file)
        match = re.match(r"([<>]=?) ?(.+)", filters.rating)
        assert match is not None, filters.rating  # the pattern of Filters.rating
        meets = _COMPARE[match[1]](log.ratings, float(match[2]))
        dropped = int((row_mask & ~meets).sum())
        row_report.drop(f"rating is not {filters.rating}", count=dropped)
        row_mask &= meets
    if filters.core is not None:
        in_core = core(log.users, log.items, filters.core, row_mask)
        reason = f"its user or item has fewer than {filters.core} interactions"
        row_report.drop(reason, count=int((row_mask & ~in_core).sum()))
        row_mask = in_core
    return row_mask


def core(users: np.ndarray, items: np.ndarray, minimum: int, row_mask: np.ndarray) -> np.ndarray:
    """The largest subset of `row_mask` (N,) in which each user and item has `minimum` rows."""
    row_mask = row_mask.copy()
    while True:
        enough = np.ones_like(row_mask)
        for ids in (users, items):
            counts = np.bincount(ids[row_mask], minlength=int(ids.max(initial=0)) + 1)
            enough &= counts[ids] >= minimum
        if (enough | ~row_mask).all():
            return row_mask
        row_mask &= enough


def _repeated(log: RawLog) -> np.ndarray:
    """Mask (N,) of the interactions that repeat the user, item and time of an earlier one."""
    pairs = log.users.astype(np.int64) * len(log.item_tokens) + log.items  # (N,)
    order = np.argsort(pairs, kind="stable")
    in_group = np.zeros(len(log), dtype=bool)
    in_group[1:] = pairs[order[1:]] == pairs[order[:-1]]
    in_group[:-1] |= in_group[1:]
    rows = np.sort(order[in_group])  # the few rows of pairs that occur several times
    repeated = np.zeros(len(log), dtype=bool)
    if len(rows):
        keys = np.stack([pairs[rows].astype(np.float64), log.times[rows]], axis=1)
        _, first = np.unique(keys, axis=0, return_index=True)
        repeated[rows] = True
        repeated[rows[first]] = False
    return repeated
