"""Feedback events, one JSON object a line.

    {"user": "7", "item": "50", "kind": "explicit", "value": 4, "time": 881250949}

user, item   raw ids: text, or whole numbers
kind         "explicit" (a rating) or "implicit" (a click, a view)
value        a number; implicit feedback may omit it, and it is then 1
time         seconds since 1970

Other keys are ignored. Empty lines are ignored. A line that is no event is reported with its number
and skipped. A line longer than the limit of data/line_reader.py ends the reading.

A rating is a like if it is at least the mean of the user's own ratings. Users rate on scales of
their own: on ml-100k the users' means lie between 1.5 and 4.9. A user who gives every item the same
rating likes all of them. A user without earlier ratings has the mean of all ratings. The paper
defines no rule.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from llm4rec_recbole.data.line_reader import rest_of_line

KINDS = ("explicit", "implicit")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Event:
    """One user's feedback on one item; ids are raw, the time is in seconds."""

    user: str
    item: str
    kind: str
    value: float
    time: float


@dataclass(frozen=True)
class BadLine:
    """A line that is no event, and the reason."""

    line: int  # counted from 1
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


class EventLine(NamedTuple):
    """A line that is not empty."""

    number: int  # counted from 1
    content: str  # a hash of all lines up to this one
    event: Event | BadLine


def read_events(lines: Iterable[bytes]) -> Iterator[EventLine]:
    """Yield each line that is not empty, with its event or with what is wrong with it."""
    content = hashlib.sha256()
    for number, line in enumerate(lines, 1):
        content.update(line.rstrip(b"\r\n") + b"\n")
        if number == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line.strip():
            continue
        event: Event | BadLine
        try:
            event = parse_event(line)
        except ValueError as error:
            event = BadLine(number, str(error))
        yield EventLine(number, content.hexdigest()[:32], event)


def limited_lines(file: IO[bytes], name: str | Path) -> Iterator[bytes]:
    """Yield the lines of `file`, which an error message calls `name`. Raises InputError for a line
    that is too long: a stream without line ends would fill the memory."""
    number = 1
    while line := rest_of_line(file, name, number):
        yield line
        number += 1


def parse_event(line: bytes) -> Event:
    """Return the event in one line. Raises ValueError, with the reason, for any other line."""
    try:
        fields = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise ValueError("this is not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"this is not JSON: {error.msg} at column {error.colno}") from error
    except (ValueError, RecursionError) as error:  # thousands of digits, thousands of brackets
        raise ValueError("this is not JSON that can be read") from error
    return event_from(fields)


def event_from(fields: Any) -> Event:
    """Return the event with these JSON fields. Raises ValueError, with the reason, for others."""
    if not isinstance(fields, dict):
        raise ValueError("this is not a JSON object")
    kind = fields.get("kind")
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {_excerpt(kind)}")
    value = 1 if kind == "implicit" and "value" not in fields else fields.get("value")
    return Event(
        user=_raw_id(fields, "user"),
        item=_raw_id(fields, "item"),
        kind=kind,
        value=_number("value", value),
        time=_number("time", fields.get("time")),
    )


def _raw_id(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError(f"{name} must be text or a whole number, not {_excerpt(value)}")
    return str(value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, not {_excerpt(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number")
    return number


def _excerpt(value: Any) -> str:
    text = "missing" if value is None else json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."


_ROUNDING = 1e-9  # a mean of equal ratings may differ from them in the last bit


def mean_ratings(users: np.ndarray, ratings: np.ndarray, n_users: int) -> np.ndarray:
    """Each user's mean rating, (n_users,) float64; without ratings the mean of all. users, ratings:
    (N,). NaN is no rating."""
    if (unrated := np.isnan(ratings)).any():
        users, ratings = users[~unrated], ratings[~unrated]
    values = ratings.astype(np.float64)
    counts = np.bincount(users, minlength=n_users)
    sums = np.bincount(users, values, minlength=n_users)
    overall = values.mean() if len(values) else 0.0
    return np.where(counts > 0, sums / np.maximum(counts, 1), overall)


def likes(ratings: Any, means: Any) -> Any:
    """Whether each rating is a like, bool: numbers or arrays (N,); True for NaN, no rating.
    means: the mean rating of each rating's user."""
    return np.logical_not(np.less(ratings, means - _ROUNDING))
