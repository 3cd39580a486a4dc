"""Which interactions of a raw log are kept: no duplicates, then the filters of `source.keep`.

Every interaction that is left out is counted, with its reason.
"""

from __future__ import annotations

import operator
import re
from typing import Any

import numpy as np

from llm4rec_recbole.data.raw_log import RawLog
from llm4rec_recbole.data.tally import Tally
from llm4rec_recbole.errors import InputError

_COMPARE = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}


def keep(log: RawLog, filters: dict[str, Any], tally: Tally) -> np.ndarray:
    """Mask (N,) of the interactions that stay; `tally` counts the others.

    Dropped are, in this order: repetitions of user, item and time (the first one stays); what does
    not meet `filters["rating"]`, such as ">=4"; what is not in the `filters["core"]`-core.
    Raises InputError for a filter that is none of these.
    """
    if unknown := set(filters) - {"rating", "core"}:
        raise InputError(f"no filter {unknown.pop()!r} in keep", hint="there are rating, core")
    kept = ~_repeated(log)
    tally.drop("same user, item and time again", count=int((~kept).sum()))
    if "rating" in filters:
        meets = _condition(log, str(filters["rating"]))
        tally.drop(f"rating is not {filters['rating']}", count=int((kept & ~meets).sum()))
        kept &= meets
    if "core" in filters:
        least = int(filters["core"])
        inside = core(log.users, log.items, least, kept)
        reason = f"its user or item has fewer than {least} interactions"
        tally.drop(reason, count=int((kept & ~inside).sum()))
        kept = inside
    return kept


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


def _condition(log: RawLog, text: str) -> np.ndarray:
    match = re.fullmatch(r"(>=|>|<=|<) ?(-?\d+(?:\.\d+)?)", text)
    if match is None or log.ratings is None:
        why = "the data has no ratings" if match else "it must look like '>=4'"
        raise InputError(f"cannot keep by rating {text!r}: {why}")
    return _COMPARE[match[1]](log.ratings, float(match[2]))
