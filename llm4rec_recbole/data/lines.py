"""The lines of a raw text file, plain or gzip, each with its number for error messages."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from llm4rec_recbole.errors import InputError

_BROKEN = (EOFError, zlib.error, gzip.BadGzipFile)
_GZIP = b"\x1f\x8b"
_LONGEST = 1 << 26  # bytes of a line; what has no end in so many would fill the memory


def open_bytes(path: str | Path) -> IO[bytes]:
    """Open `path` for reading, through gzip where its first two bytes say so, whatever its name.

    Raises InputError when it is not there or cannot be read.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 - the caller closes it
    except OSError as error:
        raise InputError(f"cannot read it: {error.strerror}", file=path) from None
    if file.read(2) == _GZIP:
        file.close()
        return cast(IO[bytes], gzip.open(path, "rb"))
    file.seek(0)
    return file


def read_lines(
    path: str | Path, *, latin_1: bool = False, open_end: bool = False
) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, text without its end) for each line; CRLF ends a line as LF does.

    With `latin_1`, a line that is not UTF-8 is read as ISO-8859-1, MovieLens' old encoding. Raises
    InputError, with the line, for a gzip file that is cut short or corrupt (the last whole one), a
    NUL byte, text that is not UTF-8, and a last line without an end: nobody can tell whether it was
    cut short. With `open_end`, the caller can.
    """
    for first, block in read_blocks(path, open_end=open_end):
        for number, line in enumerate(block.removesuffix(b"\n").split(b"\n"), first):
            yield number, decode(path, number, line, latin_1)


def read_blocks(
    path: str | Path, n_bytes: int = 1 << 20, *, open_end: bool = False
) -> Iterator[tuple[int, bytes]]:
    """Yield (number of its first line, bytes) for blocks of whole lines, each of about `n_bytes`.

    Raises InputError, with the line, for a gzip file that is cut short or corrupt (the last whole
    one), and a last line without an end, unless it may have an `open_end`.
    """
    number = 1
    with open_bytes(path) as file:
        try:
            while block := file.read(n_bytes):
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
    """What is left of the line `number`. Raises InputError where that is too long to be a line."""
    rest = file.readline(_LONGEST)
    if len(rest) == _LONGEST and not rest.endswith(b"\n"):
        message = f"a line longer than {_LONGEST >> 20} MiB: the file is corrupt"
        raise InputError(message, file=path, line=number)
    return rest


def _last_whole_line(path: str | Path) -> int:
    """The last line before the damage: a block that cannot be read to its end is lost as a whole,
    and line by line no more than one line is."""
    number = 0
    with open_bytes(path) as file, suppress(*_BROKEN):
        while line := file.readline(_LONGEST):
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
