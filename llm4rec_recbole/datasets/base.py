"""What every reader returns: interactions as numbers, tables of items, users and events, reports.

A row report counts what became of each row of a raw file: used, or dropped for a stated reason. An
interaction needs 20 bytes, however long its ids are.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

import numpy as np

from llm4rec_recbole.data.atomic_format import END_OF_TIME, MILLISECONDS

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class RowReport:
    """Counts for one raw file. Always: read = remaining + dropped.

    The report names the file by its path relative to `root`, the folder of the raw files.
    """

    file: Path
    unit: str = "rows"  # what one row is
    read: int = 0
    blank: int = 0  # ids with an interaction that the file does not describe: blank rows are added
    dropped: dict[str, int] = field(default_factory=dict)  # reason → rows
    first_line: dict[str, int] = field(default_factory=dict)  # reason → line, where it is known
    root: Path | None = None

    @property
    def name(self) -> str:
        return self.file.name if self.root is None else self.file.relative_to(self.root).as_posix()

    @property
    def remaining(self) -> int:
        return self.read - sum(self.dropped.values())

    def drop(self, reason: str, line: int | None = None, count: int = 1) -> None:
        """Count `count` rows that are read but not used. `line` is the first one's."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count
            if line is not None:
                self.first_line.setdefault(reason, line)

    def accepts(self, line: int, checks: dict[str, bool]) -> bool:
        """Count a row as read, and as dropped for the first check that it fails.

        checks: reason to drop the row → whether the row is good in this respect.
        """
        self.read += 1
        reason = next((reason for reason, good in checks.items() if not good), None)
        if reason is not None:
            self.drop(reason, line)
        return reason is None

    def as_json(self) -> dict[str, Any]:
        """The counts for raw.json."""
        return {
            "unit": self.unit,
            "read": self.read,
            "kept": self.remaining,
            "dropped": dict(sorted(self.dropped.items())),
            **({"blank": self.blank} if self.blank else {}),
        }

    def __str__(self) -> str:
        """`x.dat: 5 ratings read, 3 kept, 2 dropped: rating is not >=4 (2, first in line 3)`"""
        counts = f"{self.name}: {self.read:,} {self.unit} read, {self.remaining:,} kept"
        if self.blank:
            counts += f", {self.blank:,} blank rows added for ids that it does not describe"
        if not self.dropped:
            return counts
        reasons = [
            f"{reason} ({count:,}" + (f", first in line {line})" if line else ")")
            for reason, count in sorted(self.dropped.items())
            for line in [self.first_line.get(reason)]
        ]
        return f"{counts}, {self.read - self.remaining:,} dropped: {'; '.join(reasons)}"


_NUMBER = re.compile(r"[\x21-\x5e\x60-\x7e ]+")  # ASCII without "_": what Arrow reads as numbers
_MAX_TOKEN = 512  # characters

BAD_ID = "an id is missing or unusable"  # in JSON also an id that is not a string
SECOND_ROW = "an id that came before"


@dataclass(frozen=True)
class RawLog:
    """N interactions as parallel arrays, in the order of the raw file.

    `user_tokens[users[i]]` is the user id of interaction i as it stands in the file. Items alike.
    """

    users: np.ndarray  # (N,) int32, from 0
    items: np.ndarray  # (N,) int32, from 0
    times: np.ndarray  # (N,) float64, seconds, or the index in the user's sequence
    ratings: np.ndarray | None  # (N,) float32, or None if the data set has no ratings
    user_tokens: np.ndarray  # (n_users,) str
    item_tokens: np.ndarray  # (n_items,) str

    def __len__(self) -> int:
        return len(self.users)

    def select(self, row_mask: np.ndarray) -> RawLog:
        """The interactions in `row_mask` (N,). The numbers of users and items stay the same."""
        if row_mask.all():
            return self
        return RawLog(
            self.users[row_mask],
            self.items[row_mask],
            self.times[row_mask],
            None if self.ratings is None else self.ratings[row_mask],
            self.user_tokens,
            self.item_tokens,
        )


@dataclass(frozen=True)
class Events:
    """A table (parquet) of events, and what each event belongs to.

    "row": event i belongs to interaction i. "pair": an event belongs to the interactions of its
    user with its item. "item": it belongs to the interactions with its item. An event is dropped
    if no interaction that it belongs to is used.
    """

    path: Path
    belongs_to: Literal["row", "pair", "item"]


@dataclass
class RawData:
    """What a reader makes of a data set's raw files.

    `items` and `users` have one row for each item or user that the files describe. Their first
    column is `item_id` or `user_id`. Texts that users wrote are events, in tables of their own,
    because they could leak a held-out rating.
    """

    log: RawLog
    row_reports: dict[str, RowReport]  # by role, that of the interactions first
    items: pd.DataFrame | None = None
    users: pd.DataFrame | None = None
    events: dict[str, Events] = field(default_factory=dict)  # by role


class LogBuilder:
    """Collects interactions one at a time. Numbers the ids in order of first appearance."""

    def __init__(self) -> None:
        self._user_numbers: dict[str, int] = {}
        self._item_numbers: dict[str, int] = {}
        self._users, self._items = array("i"), array("i")
        self._times, self._ratings = array("d"), array("f")

    def add(self, user: str, item: str, time: float, rating: float | None = None) -> None:
        """Append one interaction. Either all interactions have a rating or none has."""
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


def describe_entities(
    rows: Iterable[tuple[int, dict[str, Any]]],
    row_report: RowReport,
    id_field: str,
    id_column: str,
    content: Callable[[dict[str, Any]], dict[str, Any]],
) -> pd.DataFrame:
    """A table of items or users: `id_column`, then the columns that `content(row)` returns.

    rows: (line, fields of the row). The first row of an id counts. `row_report` counts the rows
    without a valid id and those of an id that came before.
    """
    import pandas as pd

    described: dict[str, dict[str, Any]] = {}
    for line, row in rows:
        row_report.read += 1
        token = row.get(id_field)
        if not is_valid_token(token):
            row_report.drop(BAD_ID, line)
        elif token in described:
            row_report.drop(SECOND_ROW, line)
        else:
            described[token] = {id_column: token, **content(row)}
    return pd.DataFrame(list(described.values()), columns=[id_column, *content({})])


def is_valid_token(value: Any) -> TypeGuard[str]:
    """Whether `value` can be the id of a user or an item in an atomic file.

    Words such as "NA" and "null" are ids like any other: our reader takes no word as missing.
    """
    return (
        isinstance(value, str)
        and value != ""
        and len(value) <= _MAX_TOKEN
        and value.isprintable()
        and " " not in value
    )


def parse_float(value: Any) -> float | None:
    """`value` as a number, or None. "1_0" and digits of other scripts are not numbers."""
    if isinstance(value, bool) or (isinstance(value, str) and not _NUMBER.fullmatch(value)):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def parse_unix_time(value: Any) -> float | None:
    """Unix time in seconds, from seconds or milliseconds. None outside of 1970 to 2099."""
    time = parse_float(value)
    if time is None:
        return None
    time = time / 1000 if time >= MILLISECONDS else time
    return time if 0 <= time < END_OF_TIME else None
