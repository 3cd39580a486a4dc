"""Which interactions of a raw log are kept: no duplicates, then the filters of `source.keep`.

Every interaction that is left out is counted, with its reason.
"""

from __future__ import annotations

import operator
import re
from typing import Any

import numpy as np

from llm4rec_recbole.datasets.base import RawLog
from llm4rec_recbole.datasets.row_report import Tally
from llm4rec_recbole.errors import InputError, whole_number

_COMPARE = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}


def keep(log: RawLog, filters: dict[str, Any], tally: Tally) -> np.ndarray:
    """Mask (N,) of the interactions that stay; `tally` counts the others.

    Dropped are, in this order: repetitions of user, item and time (the first one stays); what does
    not meet `filters["rating"]`, such as ">=4"; what is not in the `filters["core"]`-core.
    Raises InputError for a filter that is none of these, and by rating where there are no ratings.
    """
    check_filters(filters)
    kept = ~_repeated(log)
    tally.drop("same user, item and time again", count=int((~kept).sum()))
    if "rating" in filters:
        if log.ratings is None:
            message = f"cannot keep by rating {filters['rating']!r}: the data has no ratings"
            raise InputError(message, file=tally.file)
        sign, least_or_most = _condition(filters["rating"])
        meets = _COMPARE[sign](log.ratings, least_or_most)
        tally.drop(f"rating is not {filters['rating']}", count=int((kept & ~meets).sum()))
        kept &= meets
    if "core" in filters:
        least = filters["core"]
        inside = core(log.users, log.items, least, kept)
        reason = f"its user or item has fewer than {least} interactions"
        tally.drop(reason, count=int((kept & ~inside).sum()))
        kept = inside
    return kept


def check_filters(filters: Any) -> None:
    """Raises InputError for what cannot be the `filters` of `keep`."""
    if not isinstance(filters, dict):
        raise InputError(f"keep is {filters!r}", hint="filters, such as {core: 5}")
    if unknown := set(filters) - {"rating", "core"}:
        raise InputError(f"no filter {unknown.pop()!r} in keep", hint="there are rating, core")
    if "rating" in filters:
        _condition(filters["rating"])
    if "core" in filters:
        whole_number("core in keep", filters["core"])


def core(users: np.ndarray, items: np.ndarray, least: int, kept: np.ndarray) -> np.ndarray:
    """The largest subset of `kept` (N,) in which each user and item has `least` rows or more."""
    kept = kept.copy()
    while True:
        enough = np.ones_like(kept)
        for ids in (users, items):
            counts = np.bincount(ids[kept], minlength=int(ids.max(initial=0)) + 1)
            enough &= counts[ids] >= least
        if (enough | ~kept).all():
            return kept
        kept &= enough


def _repeated(log: RawLog) -> np.ndarray:
    """Mask (N,) of the interactions that repeat an earlier one's user, item and time."""
    pairs = log.users.astype(np.int64) * len(log.item_tokens) + log.items
    order = np.argsort(pairs, kind="stable")
    again = np.zeros(len(log), dtype=bool)
    again[1:] = pairs[order[1:]] == pairs[order[:-1]]
    again[:-1] |= again[1:]
    rows = np.sort(order[again])  # the rows of pairs that come more than once: few
    seen = np.stack([pairs[rows].astype(np.float64), log.times[rows]], axis=1)
    repeated = np.zeros(len(log), dtype=bool)
    if len(rows):
        _, first = np.unique(seen, axis=0, return_index=True)
        repeated[rows] = True
        repeated[rows[first]] = False
    return repeated


def _condition(text: str) -> tuple[str, float]:
    match = re.fullmatch(r"(>=|>|<=|<) ?(-?\d+(?:\.\d+)?)", str(text))
    if match is None:
        raise InputError(f"cannot keep by rating {text!r}: it must look like '>=4'")
    return match[1], float(match[2])
