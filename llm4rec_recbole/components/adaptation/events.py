"""Feedback events, one JSON object a line; a bad line is told by its number and skipped.

    {"user": "7", "item": "50", "kind": "explicit", "value": 4, "time": 881250949}

user, item   raw tokens: text, or whole numbers
kind         "explicit" (a rating) or "implicit" (a click, a view)
value        a number; may be left out for implicit feedback, and is then 1
time         seconds since 1970

Other keys are ignored; empty lines mean nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

KINDS = ("explicit", "implicit")


@dataclass(frozen=True)
class Event:
    """One user's feedback on one item; tokens are raw, the time is in seconds."""

    user: str
    item: str
    kind: str
    value: float
    time: float


@dataclass(frozen=True)
class BadLine:
    """A line that is no event, and why."""

    line: int  # counted from 1
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


def read_events(lines: Iterable[bytes]) -> Iterator[tuple[int, Event | BadLine]]:
    """Each line's number, from 1, with its event or with what is wrong with it."""
    for number, line in enumerate(lines, 1):
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        try:
            yield number, parse_event(line)
        except ValueError as error:
            yield number, BadLine(number, str(error))


def parse_event(line: bytes) -> Event:
    """The event in one line. Raises ValueError, saying what is wrong, when there is none."""
    try:
        fields = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise ValueError("this is not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"this is not JSON: {error.msg} at column {error.colno}") from error
    except (ValueError, RecursionError) as error:  # endless digits, endless brackets
        raise ValueError("this is not JSON that can be read") from error
    if not isinstance(fields, dict):
        raise ValueError("this is not a JSON object")
    kind = fields.get("kind")
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {_shown(kind)}")
    value = 1 if kind == "implicit" and "value" not in fields else fields.get("value")
    return Event(
        user=_token(fields, "user"),
        item=_token(fields, "item"),
        kind=kind,
        value=_number("value", value),
        time=_number("time", fields.get("time")),
    )


def event_fields(event: Event) -> dict[str, Any]:
    """The event as the fields of its JSON object."""
    return dict(vars(event))


def _token(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError(f"{name} must be text or a whole number, not {_shown(value)}")
    return str(value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, not {_shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number")
    return number


def _shown(value: Any) -> str:
    text = "missing" if value is None else json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
