"""Check RecBole's atomic files before RecBole reads them.

An atomic file is UTF-8 text: a header of `name:type` fields, then one row a line, fields apart by
tabs; quotes mean nothing. RecBole reads it with pandas, which mends or drops broken rows silently,
or fails far from the cause. Here the first broken line is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from llm4rec_recbole.data.atomic_rows import Column, RowChecker, check_text
from llm4rec_recbole.data.line_reader import rest_of_line
from llm4rec_recbole.data.table_cache import checked
from llm4rec_recbole.errors import InputError, did_you_mean

SUFFIXES = ("inter", "item", "user", "kg", "link", "net")
REQUIRED_TYPES = ("token", "token", "float")  # of the user, the item and the time column
TYPES = ("token", "token_seq", "float", "float_seq")
_BLOCK_BYTES = 1 << 24


def check_atomic_files(
    folder: str | Path,
    name: str,
    required: Sequence[str] = ("user_id", "item_id", "timestamp"),
) -> None:
    """Check `<folder>/<name>.inter`, and each other atomic file of that name that is there.

    `required` are the columns that the interactions must have: the user, the item and, where the
    protocol needs it, the time. Ids (those, and tokens named `…_id`) must not be empty, nor
    anything pandas takes for a missing value ("NA", "null", …); floats must be finite numbers,
    though in files other than `.inter` they may be empty (RecBole fills in the mean).
    The last line must end with a newline: without it, nobody can tell whether it was cut short.
    A large `.inter` file that has passed gets a cache (data/cache.py), and is not checked again as
    long as that serves.

    Raises InputError with the file, and the line where there is one.
    """
    folder = Path(folder)
    for suffix in SUFFIXES:
        path = folder / f"{name}.{suffix}"
        if suffix == "inter":
            checked(path, required, lambda path: _check_file(path, required, empty_floats=False))
        elif path.exists():
            _check_file(path, (), empty_floats=True)


def _check_file(path: Path, required: Sequence[str], *, empty_floats: bool) -> None:
    try:
        blocks = _blocks(path)
        first = next(blocks, b"")
        if not first:
            raise InputError("the file is empty", file=path)
        if first.startswith(b"\xef\xbb\xbf"):
            hint = "save it as UTF-8 without one"
            raise InputError("it begins with a byte order mark", file=path, line=1, hint=hint)
        header, _, rows = first.partition(b"\n")
        check_text(path, 1, header + b"\n" if len(header) < len(first) else header)
        rows_of = RowChecker(path, header, _columns(path, header.decode(), required, empty_floats))
        rows_of.check(rows)
        for block in blocks:
            rows_of.check(block)
    except OSError as error:
        message = "no such file" if isinstance(error, FileNotFoundError) else f"{error.strerror}"
        raise InputError(message, file=path) from None
    if rows_of.next_line == 2:
        raise InputError("no rows below the header", file=path)


def _blocks(path: Path) -> Iterator[bytes]:
    """The file in blocks of whole lines; Windows line ends become newlines."""
    number = 1
    with open(path, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            number += block.count(b"\n")
            rest = rest_of_line(file, path, number)
            number += rest.endswith(b"\n")
            block += rest
            yield block.replace(b"\r\n", b"\n") if b"\r" in block else block


def _columns(path: Path, header: str, required: Sequence[str], empty_floats: bool) -> list[Column]:
    """The columns that the first line names. Raises InputError for a bad or a missing one."""
    columns: list[Column] = []
    for text in header.split("\t"):
        name, colon, kind = text.partition(":")
        if not colon or not name:
            hint = "the first line must name the columns, such as user_id:token"
            raise InputError(f"{text!r} is not name:type", file=path, line=1, hint=hint)
        if kind not in TYPES:
            message = f"column {name!r} has unknown type {kind!r}"
            raise InputError(message, file=path, line=1, hint=f"types are {', '.join(TYPES)}")
        if name in [column.name for column in columns]:
            raise InputError(f"column {name!r} is named twice", file=path, line=1)
        is_id = kind == "token" and (name in required or name.endswith("_id"))
        columns.append(Column(name, kind, is_id, may_be_empty=empty_floats))
    kinds = {column.name: column.kind for column in columns}
    for name, kind in zip(required, REQUIRED_TYPES):
        if name not in kinds:
            hint = f"there are {', '.join(kinds)}{did_you_mean(name, kinds)}"
            raise InputError(f"column {name!r} is missing", file=path, line=1, hint=hint)
        if kinds[name] != kind:
            message = f"column {name!r} must be of type {kind}, not {kinds[name]}"
            raise InputError(message, file=path, line=1)
    return columns
