"""Check the rows of an atomic file, a block of lines at a time, as an array of bytes.

       1 9 6 ⇥ 2 4 2 ⇥ 3 ⇥ 8 8 1 ⏎        separators, one row for each line:
       2 2 ⇥ 3 7 7 ⇥ 1 ⇥ 8 7 8 ⏎            ⇥ ⇥ ⇥ ⏎
       2 4 4 ⇥ 5 1 ⏎                        ⇥ ⇥ ⇥ ⏎
       1 6 6 ⇥ 3 4 6 ⇥ 1 ⇥ 8 8 6 ⏎          ⇥ ⏎ ⇥ ⇥   ← the first line with a wrong count

Reshaped to (lines, columns), every separator but a line's last is a tab, up to the first line with
a wrong number of columns. The distances between separators are the lengths of the fields. Only
fields that look unusual are checked one by one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llm4rec_recbole.errors import InputError

_NEWLINE, _MINUS = b"\n-"
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LONG = 100  # bytes; the sum of _UNLIKE_A_NUMBER over fewer does not overflow
# Summed over a field: 0 or 1 when it has only digits and at most one point, else more.
_UNLIKE_A_NUMBER = np.full(256, 2, dtype=np.uint8)
_UNLIKE_A_NUMBER[ord("0") : ord("9") + 1] = 0
_UNLIKE_A_NUMBER[ord(".")] = 1


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


class RowChecker:
    """Checks the rows below a header, block by block; `next_line` is the next line's number.

    separator: the byte between two fields; sequence_separator: the text between two numbers of a
    float_seq field.
    """

    def __init__(
        self,
        path: Path,
        header: bytes,
        columns: list[Column],
        separator: bytes = b"\t",
        sequence_separator: bytes = b" ",
    ) -> None:
        self.path, self.header, self.columns = path, header + b"\n", columns
        self.separator, self.sequence_separator = separator, sequence_separator
        self.next_line = 2

    def check(self, block: bytes) -> None:
        """Check a block of complete lines (UTF-8). Raises InputError with the line of a bad row."""
        check_text(self.path, self.next_line, block)
        if block.startswith(self.header) or b"\n" + self.header in block:
            at = 0 if block.startswith(self.header) else block.find(b"\n" + self.header) + 1
            self._fail("the header line again", block.count(b"\n", 0, at))
        if block:
            fields = self._fields(block)
            for number, column in enumerate(self.columns):
                self._check_column(fields, number, column)
            self.next_line += len(fields.lengths)

    def _fail(self, message: str, row: int, hint: str | None = None) -> None:
        raise InputError(message, file=self.path, line=self.next_line + row, hint=hint)

    def _fields(self, block: bytes) -> _Fields:
        """Locate the fields. Raises InputError for a wrong number of columns."""
        array = np.frombuffer(block, dtype=np.uint8)
        between = self.separator[0]
        if between == _NEWLINE - 1:  # a tab: one comparison is faster than two
            separators = np.flatnonzero(array - np.uint8(between) < 2)
        else:
            separators = np.flatnonzero((array == between) | (array == _NEWLINE))
        n = len(self.columns)
        expected = np.full(n, between, dtype=np.uint8)
        expected[-1] = _NEWLINE
        n_rows = len(separators) // n
        rows = array[separators[: n_rows * n]].reshape(n_rows, n)  # (lines, columns)
        wrong = np.flatnonzero((rows != expected).any(axis=1))
        if len(wrong) or n_rows * n != len(separators):
            first = int(wrong[0]) if len(wrong) else n_rows
            count = len(block.split(b"\n", first + 1)[first].split(self.separator))
            message = f"{count} column{'s' * (count > 1)} where the header has {n}"
            name = "a tab" if self.separator == b"\t" else repr(self.separator.decode())
            self._fail(message, first, f"a value may not hold {name}" if count > n else None)
        starts = np.concatenate([[0], separators[:-1] + 1])
        return _Fields(
            block, array, starts.reshape(n_rows, n), (separators - starts).reshape(n_rows, n)
        )

    def _check_column(self, fields: _Fields, number: int, column: Column) -> None:
        if column.kind == "float":
            self._check_floats(fields, number, column)
        elif column.kind == "float_seq":
            between = self.sequence_separator
            for row in range(len(fields.lengths)):
                if not all(_is_finite(n) for n in fields.get(row, number).split(between) if n):
                    self._not_a_number(fields, row, number, column)
        elif column.is_id:
            for row in np.flatnonzero(fields.lengths[:, number] == 0)[:1].tolist():
                self._fail(f"empty {column.name}", row)

    def _check_floats(self, fields: _Fields, number: int, column: Column) -> None:
        starts, lengths = fields.starts[:, number], fields.lengths[:, number]
        minus = fields.array[starts] == _MINUS
        edges = np.stack([starts + minus, starts + lengths], axis=1).ravel()
        unlike = np.add.reduceat(_UNLIKE_A_NUMBER[fields.array], edges, dtype=np.uint8)[::2]
        plain = (unlike <= 1) & (lengths - minus - unlike >= 1) & (lengths < _LONG)
        for row in np.flatnonzero(~plain).tolist():
            value = fields.get(row, number)
            if not (_is_finite(value) or (column.may_be_empty and not value)):
                self._not_a_number(fields, row, number, column)

    def _not_a_number(self, fields: _Fields, row: int, number: int, column: Column) -> None:
        value = fields.get(row, number).decode()
        reason = f"{value[:40]!r} is not a finite number" if value.strip() else "empty"
        self._fail(f"column {column.name!r}: {reason}", row)


@dataclass(frozen=True)
class _Fields:
    """The fields of a block: where each starts, and its length in bytes."""

    block: bytes
    array: np.ndarray  # (bytes,) uint8
    starts: np.ndarray  # (lines, columns)
    lengths: np.ndarray  # (lines, columns)

    def get(self, row: int, number: int) -> bytes:
        start = self.starts[row, number]
        return self.block[start : start + self.lengths[row, number]]


def _is_finite(value: bytes) -> bool:
    """Whether `value` is a decimal number that float64 can hold."""
    return _NUMBER.fullmatch(value) is not None and abs(float(value)) != float("inf")
