"""Check the rows of an atomic file, a block of lines at a time, as an array of bytes.

       1 9 6 ⇥ 2 4 2 ⇥ 3 ⇥ 8 8 1 ⏎        separators, one row for each line:
       2 2 ⇥ 3 7 7 ⇥ 1 ⇥ 8 7 8 ⏎            ⇥ ⇥ ⇥ ⏎
       2 4 4 ⇥ 5 1 ⏎                        ⇥ ⇥ ⇥ ⏎
       1 6 6 ⇥ 3 4 6 ⇥ 1 ⇥ 8 8 6 ⏎          ⇥ ⏎ ⇥ ⇥   ← the first line with a wrong count

Reshaped to (lines, columns), the separators are tabs but for the last column, up to the first line
with a wrong number of columns. The distances between them are the fields' lengths. Only fields
that look unusual are looked at one by one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llm4rec_recbole.errors import InputError

_TAB, _NEWLINE, _MINUS = b"\t\n-"
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LONG = 100  # bytes; _UNLIKE_A_NUMBER, added up over fewer, does not overflow
# Added up over a field: 0 or 1 where it has digits and at most one point, else more.
_UNLIKE_A_NUMBER = np.full(256, 2, dtype=np.uint8)
_UNLIKE_A_NUMBER[ord("0") : ord("9") + 1] = 0
_UNLIKE_A_NUMBER[ord(".")] = 1
# What pandas reads as missing: RecBole would drop the row of a user or item of this name.
MISSING = (
    *(b"#N/A", b"#N/A N/A", b"#NA", b"-1.#IND", b"-1.#QNAN", b"-NaN", b"-nan", b"1.#IND"),
    *(b"1.#QNAN", b"<NA>", b"N/A", b"NA", b"NULL", b"NaN", b"None", b"n/a", b"nan", b"null"),
)
_FIRST_OF_MISSING = np.isin(np.arange(256), [word[0] for word in MISSING])
_LAST_OF_MISSING = np.isin(np.arange(256), [word[-1] for word in MISSING])


@dataclass(frozen=True)
class Column:
    """One column of an atomic file; `may_be_empty` is about its floats."""

    name: str
    kind: str  # token, token_seq, float, float_seq
    is_id: bool
    may_be_empty: bool


def check_text(path: Path, line: int, block: bytes) -> None:
    """Raise InputError for bytes that no text line has; `line` is the number of the first one."""

    def fail(message: str, at: int, hint: str | None = None) -> None:
        at_line = line + block.count(b"\n", 0, at)
        raise InputError(message, file=path, line=at_line, hint=hint)

    if (at := block.find(b"\0")) >= 0:
        fail("a NUL byte: the file is corrupt", at)
    if not block.isascii():
        try:
            block.decode()
        except UnicodeDecodeError as error:
            fail("not valid UTF-8: the file is corrupt or in another encoding", error.start)
    if (at := block.find(b"\r")) >= 0:
        fail("a carriage return inside a line", at)
    if block and not block.endswith(b"\n"):
        hint = "it may be cut short; if it is whole, end it with a newline"
        fail("the last line has no end", len(block), hint)


class RowChecker:
    """Checks the rows below a header, block by block; `next_line` is the next line's number."""

    def __init__(self, path: Path, header: bytes, columns: list[Column]) -> None:
        self.path, self.header, self.columns = path, header + b"\n", columns
        self.next_line = 2

    def check(self, block: bytes) -> None:
        """Check whole lines. Raises InputError for the first bad line of the first kind found."""
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
        """Where the fields are. Raises InputError for a wrong number of columns."""
        array = np.frombuffer(block, dtype=np.uint8)
        separators = np.flatnonzero(array - np.uint8(_TAB) < 2)  # tab is 9, newline 10
        n = len(self.columns)
        expected = np.full(n, _TAB, dtype=np.uint8)
        expected[-1] = _NEWLINE
        n_rows = len(separators) // n
        rows = array[separators[: n_rows * n]].reshape(n_rows, n)  # (lines, columns)
        wrong = np.flatnonzero((rows != expected).any(axis=1))
        if len(wrong) or n_rows * n != len(separators):
            first = int(wrong[0]) if len(wrong) else n_rows
            found = len(block.split(b"\n", first + 1)[first].split(b"\t"))
            message = f"{found} column{'s' * (found > 1)} where the header has {n}"
            self._fail(message, first, "a value may not hold a tab" if found > n else None)
        starts = np.concatenate([[0], separators[:-1] + 1])
        return _Fields(
            block, array, starts.reshape(n_rows, n), (separators - starts).reshape(n_rows, n)
        )

    def _check_column(self, fields: _Fields, number: int, column: Column) -> None:
        starts, lengths = fields.starts[:, number], fields.lengths[:, number]
        if column.kind == "float":
            self._check_floats(fields, number, column)
        elif column.kind == "float_seq":
            for row in range(len(starts)):
                if not all(map(_is_finite, fields.get(row, number).split())):
                    self._not_a_number(fields, row, number, column)
        if column.is_id:
            for row in np.flatnonzero(lengths == 0)[:1].tolist():
                self._fail(f"empty {column.name}", row)
            last = fields.array[starts + lengths - 1]
            suspects = _FIRST_OF_MISSING[fields.array[starts]] & _LAST_OF_MISSING[last]
            rows = np.flatnonzero(suspects)
            for word in MISSING:
                for row in fields.equal(word, rows, number)[:1].tolist():
                    hint = "RecBole reads it as missing; rename it"
                    self._fail(f"{column.name} is {word.decode()!r}", row, hint)

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
        shown = f"{value[:40]!r} is not a finite number" if value.strip() else "empty"
        self._fail(f"column {column.name!r}: {shown}", row)


@dataclass(frozen=True)
class _Fields:
    """The fields of a block: where each starts, and how long it is, in bytes."""

    block: bytes
    array: np.ndarray  # (bytes,) uint8
    starts: np.ndarray  # (lines, columns)
    lengths: np.ndarray  # (lines, columns)

    def get(self, row: int, number: int) -> bytes:
        start = self.starts[row, number]
        return self.block[start : start + self.lengths[row, number]]

    def equal(self, word: bytes, rows: np.ndarray, number: int) -> np.ndarray:
        """Those of `rows` whose field is `word`: byte after byte over the rows still alike."""
        rows = rows[self.lengths[rows, number] == len(word)]
        for offset, byte in enumerate(word):
            rows = rows[self.array[self.starts[rows, number] + offset] == byte]
        return rows


def _is_finite(value: bytes) -> bool:
    """Whether `value` is a number as people write it, and not beyond float64."""
    return _NUMBER.fullmatch(value) is not None and abs(float(value)) != float("inf")
