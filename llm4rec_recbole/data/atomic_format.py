"""The format of atomic files, the table of their rows, and the checks of text, rows and times."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4rec_recbole.errors import InputError, shorten

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

EXACT = 2**53  # a float64 holds every whole number up to here
_CODES_AT_ONCE = 1 << 16  # stay in the processor's cache
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class AtomicFormat:
    """How a data set's atomic files are written. Each field is an option of RecBole's."""

    user_field: str = "user_id"
    item_field: str = "item_id"
    time_field: str = "timestamp"
    separator: str = "\t"
    sequence_separator: str = " "
    encoding: str = "utf-8"

    @classmethod
    def of(cls, config: Any) -> AtomicFormat:
        """The format that RecBole's `config` describes. Raises InputError for an unusable value."""
        separator, encoding = config["field_separator"], config["encoding"] or "utf-8"
        separator = "\t" if separator == r"\t" else separator  # as a shell passes it on
        if not (isinstance(separator, str) and len(separator) == 1 and separator.isascii()):
            hint = "one ASCII character, such as ',' or a tab"
            raise InputError(f"field_separator is {separator!r}", hint=hint)
        if separator in '\n\r\0"':
            raise InputError(f"field_separator is {separator!r}", hint="such as ',' or a tab")
        if not (isinstance(config["seq_separator"], str) and config["seq_separator"]):
            raise InputError(f"seq_separator is {config['seq_separator']!r}", hint="such as ' '")
        check_encoding(encoding)
        user, item, time = (config[f"{name}_FIELD"] for name in ("USER_ID", "ITEM_ID", "TIME"))
        return cls(user, item, time, separator, config["seq_separator"], encoding)

    def type_of(self, field: str) -> str:
        """The type that the user, item or time column must have."""
        return "float" if field == self.time_field else "token"


DEFAULT_FORMAT = AtomicFormat()


def check_encoding(name: str) -> None:
    """Raise InputError for a name that is no text encoding of Python's."""
    try:
        is_text = codecs.lookup(name)._is_text_encoding
    except (LookupError, TypeError, ValueError):
        is_text = False
    if not is_text:
        hint = "a name that Python knows, such as utf-8 or latin-1"
        raise InputError(f"encoding is {shorten(name)}", hint=hint)


@dataclass(frozen=True, eq=False)
class AtomicTable:
    """The rows of an atomic file, in file order: row n is line n + 2.

    types: each field's type. columns: tokens as dictionaries of strings, floats as float64 (times
    as int64 where a float64 cannot hold them), sequences as strings; null where a field is empty.

    Two reads of an unchanged file are equal if they share the columns in memory, so that a result
    can be cached by its table.
    """

    path: Path
    types: dict[str, str]
    columns: pa.Table

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AtomicTable) and other.columns is self.columns

    def __hash__(self) -> int:
        return id(self.columns)

    def __len__(self) -> int:
        return int(self.columns.num_rows)

    def frame(self, wanted: Callable[[str], bool] = lambda field: True) -> pd.DataFrame:
        """The `wanted` columns for RecBole: tokens as categories, sequences as text."""
        import pandas as pd

        columns: dict[str, Any] = {}
        for field in filter(wanted, self.types):
            column = self.columns[field]
            if self.types[field] == "token":
                codes, tokens = self._codes(field)
                columns[field] = pd.Categorical.from_codes(codes, tokens)
            elif self.types[field] == "float":
                columns[field] = column.to_numpy()
            else:
                columns[field] = column.to_pandas()
        return pd.DataFrame(columns, copy=False)

    def texts(self) -> pd.DataFrame:
        """All columns as text, "" where a field is empty; whole numbers without a point."""
        import pandas as pd

        def written(number: float) -> str:
            return "" if number != number else repr(number).removesuffix(".0")

        columns = {}
        for field, kind in self.types.items():
            values = self.columns[field].to_pylist()
            if kind == "float":
                values = ["" if value is None else written(value) for value in values]
            columns[field] = pd.Series(["" if v is None else v for v in values], dtype=str)
        return pd.DataFrame(columns)

    def check_ids(self, field: str) -> None:
        """Raise InputError where the column of ids is missing, or a row has an earlier row's id."""
        if field not in self.types:
            hint = f"there are {', '.join(self.types)}"
            raise InputError(f"column {field!r} is missing", file=self.path, line=1, hint=hint)
        ids = self.columns[field].to_pandas()
        if (again := ids.duplicated().to_numpy()).any():
            row = int(again.argmax())
            message = f"{field} {ids[row]!r} comes a second time"
            raise InputError(message, file=self.path, line=row + 2)

    def times(self, field: str) -> np.ndarray:
        """A float column without empty fields, (N,): int64 where all are whole, else float64."""
        values = self.columns[field].to_numpy()
        if values.dtype.kind == "f" and values.min() > -EXACT and values.max() < EXACT:
            whole = values.astype(np.int64)
            return whole if (whole == values).all() else values
        return values

    def _codes(self, field: str) -> tuple[np.ndarray, list[str]]:
        """A token column as numbers (N,), -1 where it is empty, and the token of each number."""
        chunks = self.columns[field].chunks
        filled = (c.indices.fill_null(-1) if c.null_count else c.indices for c in chunks)
        codes = [indices.to_numpy(zero_copy_only=False) for indices in filled]
        joined = np.concatenate(codes) if len(codes) > 1 else codes[0]
        return joined, chunks[0].dictionary.to_pylist()


def count_in_order(codes: np.ndarray) -> int | None:
    """How many values the integers `codes` (N,) number 0, 1, … in the order of their first rows.

    None where they are numbered otherwise, or one is negative.
    """
    highest = -1
    for start in range(0, len(codes), _CODES_AT_ONCE):
        block = codes[start : start + _CODES_AT_ONCE]
        largest = np.maximum(np.maximum.accumulate(block), highest)  # so far, at each row
        if block.min() < 0 or largest[0] > highest + 1 or np.diff(largest).max(initial=0) > 1:
            return None
        highest = int(largest[-1])
    return highest + 1


@dataclass(frozen=True)
class Column:
    """One column of an atomic file."""

    name: str
    kind: str  # token, token_seq, float or float_seq
    is_id: bool  # no field may be empty
    may_be_empty: bool  # whether a float field may be


def check_text(path: Path, line: int, block: bytes) -> None:
    """Raise InputError for bytes that no text line has; `line` is the number of the first line."""

    def fail(message: str, at: int, hint: str | None = None) -> None:
        at_line = line + block.count(b"\n", 0, at)
        raise InputError(message, file=path, line=at_line, hint=hint)

    if (at := block.find(b"\0")) >= 0:
        fail("a NUL byte: the file is corrupt", at)
    if not block.isascii():
        try:
            block.decode()
        except UnicodeDecodeError as error:
            hint = "the option --encoding names another encoding"
            fail("not valid UTF-8: the file is corrupt or in another encoding", error.start, hint)
    if (at := block.find(b"\r")) >= 0:
        fail("a carriage return inside a line", at)
    if block and not block.endswith(b"\n"):
        hint = "it may be cut short; if it is complete, end it with a newline"
        fail("the last line has no end", len(block), hint)


def check_rows(
    path: Path, line: int, block: bytes, columns: Sequence[Column], file_format: AtomicFormat
) -> None:
    """Raise InputError for the first bad row of a block of lines; `line` is the first one's number.

    A row is bad with a wrong number of columns, an empty id, or a float that is not finite.
    """
    separator = file_format.separator.encode()
    for number, row in enumerate(io.BytesIO(block), line):
        n_columns = row.count(separator) + 1
        if n_columns != len(columns):
            message = f"{n_columns} column{'s' * (n_columns > 1)} where the header has"
            name = "a tab" if separator == b"\t" else repr(file_format.separator)
            hint = f"a value may not hold {name}" if n_columns > len(columns) else None
            raise InputError(f"{message} {len(columns)}", file=path, line=number, hint=hint)
        for column, value in zip(columns, row.removesuffix(b"\n").split(separator)):
            if problem := _problem(column, value, file_format.sequence_separator.encode()):
                raise InputError(problem, file=path, line=number)


def _problem(column: Column, value: bytes, sequence_separator: bytes) -> str | None:
    """What is wrong with a value of the column; None when nothing is."""
    if column.is_id:
        return None if value else f"empty {column.name}"
    if column.kind == "float":
        good = _is_finite(value) or (column.may_be_empty and not value)
    elif column.kind == "float_seq":
        good = all(_is_finite(number) for number in value.split(sequence_separator) if number)
    else:
        return None
    text = value.decode()
    reason = f"{text[:40]!r} is not a finite number" if text.strip() else "empty"
    return None if good else f"column {column.name!r}: {reason}"


def _is_finite(value: bytes) -> bool:
    """Whether `value` is a decimal number that float64 can hold."""
    return _NUMBER.fullmatch(value) is not None and abs(float(value)) != float("inf")


# Units of Unix times (days to nanoseconds), and files that mix two of them.

UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds")
#: The least time in each unit but the first: March 1973. One unit smaller, it is the year 5138.
STARTS = (1e11, 1e14, 1e17)
MILLISECONDS = STARTS[0]
END_OF_TIME = 4_102_444_800.0  # the year 2100, in seconds
_DAYS = (1096.0, 47_482.0)  # 1973 to 2100, in days
_PER_DAY = {"days": 1, "hours": 24, "minutes": 1440}
_SECONDS = 1e8  # the least time in seconds that can stand beside these units: March 1973
_GAP = 100  # the least factor between times of two units
_MINUTES_GAP = 10  # the same beside days, hours or minutes: data of 1996 to 2018 leave 32


def first_unit_change(times: np.ndarray) -> int | None:
    """The first row of `times` (N,) in another unit than row 0; None when all have one unit.

    Two units are in use where times lie on both sides of a start, with a gap of a factor of 100
    between them. Those below the start are after March 1973 in the smaller unit. Times that count
    from another event than 1970, in any unit, have no such gap. Days, hours or minutes stand beside
    another unit where each time is one from 1973 to 2100 or at least 10⁸, and a factor of 10
    separates the two.
    """
    if not len(times) or times.max() < _SECONDS:
        return None
    coarse = times < _SECONDS  # (N,) bool
    if coarse.any() and not coarse.all():
        first, last = times[coarse].min(), times[coarse].max()
        in_one_unit = any(
            first >= _DAYS[0] * factor and last <= _DAYS[1] * factor for factor in _PER_DAY.values()
        )
        if in_one_unit and times[~coarse].min() >= _MINUTES_GAP * last:
            return int((coarse != coarse[0]).argmax())
    for start in STARTS:
        large = times >= start
        if large.any() and not large.all():
            below, above = times[~large].max(), times[large].min()
            if below >= start / 1000 and above >= _GAP * below:
                return int((_units(times) != _units(times[:1])).argmax())
    return None


def mixed_units_error(path: str | Path, line: int, first: float, other: float) -> InputError:
    """The error for a file whose first time is in one unit and whose time at `line` in another."""
    message = f"the time is in {unit_of(other)}, but the times above it are in {unit_of(first)}"
    return InputError(message, file=path, line=line, hint="write all times in one unit")


def unit_of(time: float) -> str:
    """The unit of a time in a file that has two units."""
    for name, factor in _PER_DAY.items():
        if time <= _DAYS[1] * factor:
            return name
    return UNITS[int(_units(np.array([time]))[0])]


def _units(times: np.ndarray) -> np.ndarray:
    """The number of each time's unit in UNITS, (N,)."""
    return np.searchsorted(np.array(STARTS), times, side="right")
