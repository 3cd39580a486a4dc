"""The lines of a raw text file, plain or gzip, each with its number for error messages."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from llm4rec_recbole.errors import InputError, did_you_mean
from llm4rec_recbole.files import open_regular

_BROKEN = (EOFError, zlib.error, gzip.BadGzipFile)
_GZIP = b"\x1f\x8b"
MAX_LINE = 1 << 24  # bytes of a line; parsing one needs up to 50 times as much memory

MAX_RATIO = 50  # of a gzip file's text to its size; reviews reach 5, tables of numbers 15
FREE_BYTES = 1 << 26  # that any gzip file may have, whatever the ratio


def open_bytes(path: str | Path) -> IO[bytes]:
    """Open `path` for reading, through gzip when its first two bytes are gzip's.

    Raises InputError when it is missing, unreadable, or not a regular file.
    """
    file = open_regular(path)
    if file.read(2) == _GZIP:
        file.close()
        return cast(IO[bytes], gzip.open(path, "rb"))
    file.seek(0)
    return file


def read_lines(
    path: str | Path, *, latin_1: bool = False, open_end: bool = False
) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, text without its end) for each line; CRLF ends a line as LF does.

    With `latin_1`, a line that is not UTF-8 is read as ISO-8859-1, MovieLens' old encoding. With
    `open_end`, the last line may lack its end; otherwise the file may be cut short. Raises
    InputError, with the line, for a truncated or corrupt gzip file (its last complete line), a NUL
    byte, text that is not UTF-8, and a last line without an end.
    """
    for first, block in read_blocks(path, open_end=open_end):
        for number, line in enumerate(block.removesuffix(b"\n").split(b"\n"), first):
            yield number, decode(path, number, line, latin_1)


def read_blocks(
    path: str | Path, n_bytes: int = 1 << 20, *, open_end: bool = False
) -> Iterator[tuple[int, bytes]]:
    """Yield (number of its first line, bytes) for blocks of complete lines of about `n_bytes`.

    Raises InputError, with the line, for a truncated or corrupt gzip file (its last complete
    line), for one that unpacks to more than MAX_RATIO times its size, and, without `open_end`, for
    a last line without an end.
    """
    number, total = 1, 0
    with open_bytes(path) as file:
        packed = isinstance(file, gzip.GzipFile)
        limit = FREE_BYTES + MAX_RATIO * Path(path).stat().st_size
        try:
            while block := file.read(n_bytes):
                total += len(block)
                if packed and total > limit:
                    message = f"the gzip file unpacks to more than {MAX_RATIO} times its size"
                    raise InputError(message, file=path, line=number, hint="is it the right file?")
                last = number + block.count(b"\n")
                rest = rest_of_line(file, path, last)
                block, last = block + rest, last + rest.endswith(b"\n")
                if not (open_end or block.endswith(b"\n")):
                    hint = "it may be cut short; if it is whole, end it with a newline"
                    raise InputError("the last line has no end", file=path, line=last, hint=hint)
                yield number, block
                number = last
        except _BROKEN as error:
            message = f"the gzip file is cut short or corrupt: {error}"
            raise InputError(message, file=path, line=_last_whole_line(path)) from None


def rest_of_line(file: IO[bytes], path: str | Path, number: int) -> bytes:
    """The rest of line `number`. Raises InputError when it is longer than MAX_LINE."""
    rest = file.readline(MAX_LINE)
    if len(rest) == MAX_LINE and not rest.endswith(b"\n"):
        message = f"a line longer than {MAX_LINE >> 20} MiB: the file is corrupt"
        raise InputError(message, file=path, line=number)
    return rest


def _last_whole_line(path: str | Path) -> int:
    """The number of the last line before the damage. Lines are read one by one here, because a read
    of a block that meets the damage returns nothing."""
    number = 0
    with open_bytes(path) as file, suppress(*_BROKEN):
        while line := file.readline(MAX_LINE):
            number += line.endswith(b"\n")
    return max(number, 1)


def decode(path: str | Path, number: int, line: bytes, latin_1: bool = False) -> str:
    """A line's text. Raises InputError for a NUL byte and for what is not UTF-8."""
    if b"\0" in line:
        raise InputError("a NUL byte: the file is corrupt", file=path, line=number)
    line = line.removesuffix(b"\r")
    if number == 1:
        line = line.removeprefix(b"\xef\xbb\xbf")  # a byte order mark, as Windows writes it
    try:
        return line.decode()
    except UnicodeDecodeError:
        if latin_1:
            return line.decode("latin-1")
        message = "not valid UTF-8: the file is corrupt or in another encoding"
        raise InputError(message, file=path, line=number) from None


# The rows of a CSV file (RFC 4180) with a header, each with the number of its first line.


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, the cells of `columns`) for each row below the header, in which quotes guard
    commas, doubled quotes and line ends.

    Raises InputError for an empty file, and with the line for a missing column, a row with another
    number of cells than the header, and a quote that is never closed.
    """
    lines = (f"{line}\n" for _, line in read_lines(path))
    reader = csv.reader(lines, strict=True)
    number = 1
    try:
        header = next(reader, None)
        if header is None:
            raise InputError("the file is empty", file=path)
        where = find_columns(path, header, columns)
        number = reader.line_num + 1
        for cells in reader:
            if len(cells) != len(header):
                message = f"{len(cells)} cells where the header has {len(header)}"
                raise InputError(message, file=path, line=number)
            yield number, [cells[column] for column in where]
            number = reader.line_num + 1
    except csv.Error as error:
        message = f"quotes do not match: {error}"
        raise InputError(message, file=path, line=number) from None


def split_line(path: Path, number: int, line: str, n_cells: int | None = None) -> list[str]:
    """The cells of a row that is one line. Raises InputError where they are not `n_cells`."""
    try:
        cells = next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise InputError(f"quotes do not match: {error}", file=path, line=number) from None
    if n_cells is not None and len(cells) != n_cells:
        message = f"{len(cells)} cells where the header has {n_cells}"
        raise InputError(message, file=path, line=number)
    return cells


def find_columns(path: Path, header: list[str], columns: Sequence[str]) -> list[int]:
    """The places of `columns` in the header. Raises InputError for one that it lacks."""
    for name in columns:
        if name not in header:
            hint = f"there are {', '.join(header)}{did_you_mean(name, header)}"
            raise InputError(f"column {name!r} is missing", file=path, line=1, hint=hint)
    return [header.index(name) for name in columns]
