"""The error for bad input: what is wrong, where, and what to do."""

from __future__ import annotations

import os
from numbers import Integral
from pathlib import Path
from typing import Any


class InputError(ValueError):
    """Bad input, described in one line: `file:line: message (hint)`.

    The command line prints the line, without a traceback, and exits with status 2.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        self.message, self.file, self.line, self.hint = message, file, line, hint
        where = "" if file is None else f"{file}: " if line is None else f"{file}:{line}: "
        super().__init__(_encodable(where + message + (f" ({hint})" if hint else "")))


def _encodable(text: str) -> str:
    """`text` with the bytes of a path that are not UTF-8 written out, such as `\\xe9`."""
    try:
        return os.fsencode(text).decode(errors="backslashreplace")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        return text.encode(errors="backslashreplace").decode()


def whole_number(name: str, value: Any, least: int = 1) -> int:
    """`value` itself. Raises InputError unless option `name` is a whole number from `least` on."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} is {value}", hint=f"a whole number, {least} or more")
    return int(value)


def number_in(interval: str, name: str, value: Any) -> float:
    """`value` itself. Raises InputError unless option `name` is a number in `interval`, such as
    "[0, 1)" or "(0, inf)"."""
    low, high = map(float, interval[1:-1].split(","))
    open_ends = [
        end for end, bracket in ((low, interval[0]), (high, interval[-1])) if bracket in "()"
    ]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high or value in open_ends:
        raise InputError(f"{name} is {value}", hint=f"a number in {interval}")
    return float(value)
