"""The interactions of a raw file as numbers, 20 bytes each, however long their ids are."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

import numpy as np

from llm4rec_recbole.data.atomic_rows import MISSING
from llm4rec_recbole.data.tally import Tally
from llm4rec_recbole.data.times import END_OF_TIME, MILLISECONDS

if TYPE_CHECKING:
    import pandas as pd

_NUMBER = re.compile(r"[\x21-\x5e\x60-\x7e ]+")  # ASCII, no "_": as Arrow reads numbers
# What RecBole's pandas reads as missing: an item of that name would vanish.
_MISSING = {"", *(word.decode() for word in MISSING)}

BAD_ID = "an id is missing or unusable"  # in JSON also one that is no text


@dataclass(frozen=True)
class RawLog:
    """Parallel arrays, one entry per interaction, in the order of the raw file.

    `user_tokens[users[i]]` is interaction i's user id as the file has it; items alike.
    """

    users: np.ndarray  # (N,) int32, from 0
    items: np.ndarray  # (N,) int32, from 0
    times: np.ndarray  # (N,) float64, seconds, or the position in the user's sequence
    ratings: np.ndarray | None  # (N,) float32, where the source has ratings
    user_tokens: np.ndarray  # (n_users,) str
    item_tokens: np.ndarray  # (n_items,) str

    def __len__(self) -> int:
        return len(self.users)

    def rows(self, kept: np.ndarray) -> RawLog:
        """The interactions in the mask `kept` (N,); tokens keep their numbers."""
        ratings = None if self.ratings is None else self.ratings[kept]
        return RawLog(
            self.users[kept],
            self.items[kept],
            self.times[kept],
            ratings,
            self.user_tokens,
            self.item_tokens,
        )


@dataclass(frozen=True)
class Events:
    """A table (parquet) of what users did beside the interactions, and which rows of it are kept.

    `belongs_to` says: "row" i to interaction i, and goes with it; a "pair" to the interactions of
    its user with its item, an "item" to those with its item, and goes when there are none.
    """

    path: Path
    belongs_to: Literal["row", "pair", "item"]


@dataclass
class RawData:
    """What a reader makes of a data set's raw files.

    `items` and `users` have a row for each item or user that the files describe, known by
    `item_id` or `user_id`. What users wrote of items lies in tables of its own (data/events.py),
    because a held-out rating could leak through it.
    """

    log: RawLog
    tallies: dict[str, Tally]  # by role, the log's first
    items: pd.DataFrame | None = None
    users: pd.DataFrame | None = None
    events: dict[str, Events] = field(default_factory=dict)  # by role


class LogBuilder:
    """Collects interactions one at a time and numbers their ids in order of first appearance."""

    def __init__(self) -> None:
        self._user_numbers: dict[str, int] = {}
        self._item_numbers: dict[str, int] = {}
        self._users, self._items = array("i"), array("i")
        self._times, self._ratings = array("d"), array("f")

    def add(self, user: str, item: str, time: float, rating: float | None = None) -> None:
        """Append one interaction; either all have a rating or none has."""
        self._users.append(self._user_numbers.setdefault(user, len(self._user_numbers)))
        self._items.append(self._item_numbers.setdefault(item, len(self._item_numbers)))
        self._times.append(time)
        if rating is not None:
            self._ratings.append(rating)

    def build(self) -> RawLog:
        """The interactions added so far."""
        return RawLog(
            users=np.array(self._users, dtype=np.int32),
            items=np.array(self._items, dtype=np.int32),
            times=np.array(self._times, dtype=np.float64),
            ratings=np.array(self._ratings, dtype=np.float32) if self._ratings else None,
            user_tokens=np.array(list(self._user_numbers), dtype=object),
            item_tokens=np.array(list(self._item_numbers), dtype=object),
        )


def is_id(value: Any) -> TypeGuard[str]:
    """Whether `value` can be the id of a user or an item in an atomic file."""
    return (
        isinstance(value, str)
        and value not in _MISSING
        and value.isprintable()
        and " " not in value
    )


def number_of(value: Any) -> float | None:
    """`value` as a number, None where it is none; "1_0" and digits of other scripts are none."""
    if isinstance(value, bool) or (isinstance(value, str) and not _NUMBER.fullmatch(value)):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def seconds(value: Any) -> float | None:
    """A Unix time in seconds from one in seconds or milliseconds, None where it is no such time.

    What comes out is before the year 2100.
    """
    time = number_of(value)
    if time is None:
        return None
    time = time / 1000 if time >= MILLISECONDS else time
    return time if 0 <= time < END_OF_TIME else None
