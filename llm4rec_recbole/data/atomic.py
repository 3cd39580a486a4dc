"""The reader of RecBole's atomic files: each file is checked and parsed once.

An atomic file is text: a header of `name:type` fields, then one row a line; quotes mean nothing.

    user_id:token ⇥ item_id:token ⇥ timestamp:float
    196           ⇥ NA            ⇥ 881250949          "NA", "null" and "nan" are tokens

The separator and the encoding are RecBole's options `field_separator` and `encoding`; the names of
the user, item and time columns are options too. An empty token is a missing value. Floats must be
finite; outside of `.inter` files they may be empty, and RecBole fills in the mean. Times of two
units are refused. The last line must end with a newline: without it, the file may be cut short.
"""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from llm4rec_recbole.data import table_cache
from llm4rec_recbole.data.atomic_format import (
    DEFAULT_FORMAT,
    EXACT,
    AtomicFormat,
    AtomicTable,
    Column,
    check_rows,
    check_text,
    first_unit_change,
    mixed_units_error,
)
from llm4rec_recbole.data.line_reader import MAX_LINE, rest_of_line
from llm4rec_recbole.errors import InputError, did_you_mean
from llm4rec_recbole.files import open_regular

if TYPE_CHECKING:
    import pyarrow as pa

TYPES = ("token", "token_seq", "float", "float_seq")
_BLOCK_BYTES = 1 << 24


def read_atomic(
    path: str | Path, file_format: AtomicFormat = DEFAULT_FORMAT, required: Sequence[str] = ()
) -> AtomicTable:
    """The table in the atomic file at `path`, from memory or the cache where it is unchanged.

    required: columns that must be there, such as the user, the item and the time. Raises
    InputError, with file and line, for the first defect.
    """
    path = Path(path)
    if (cached := table_cache.read(path, file_format)) is not None:
        table = AtomicTable(path, *cached)
        _check_required(path, table.types, file_format, required)
        return table
    state = table_cache.state_of(path)  # before the file is read: it may change meanwhile
    table = _parse(path, file_format, required)
    table_cache.write(path, file_format, state, (table.types, table.columns))
    return table


def read_header(
    path: str | Path, file_format: AtomicFormat = DEFAULT_FORMAT, required: Sequence[str] = ()
) -> dict[str, str]:
    """The columns of the atomic file at `path`, and the type of each; no row is read.

    Raises InputError for a header that `read_atomic` refuses.
    """
    if (types := table_cache.read_types(Path(path), file_format)) is not None:
        _check_required(Path(path), types, file_format, required)
        return types
    with open_regular(Path(path)) as file:
        blocks = _utf8_blocks(file, Path(path), file_format.encoding)
        return _split_header(Path(path), next(blocks, b""), file_format, required)[0]


def _split_header(
    path: Path, first: bytes, file_format: AtomicFormat, required: Sequence[str]
) -> tuple[dict[str, str], bytes, bytes]:
    """The types of the columns, the header line, and what the first block has below it."""
    if not first:
        raise InputError("the file is empty", file=path)
    if first.startswith(b"\xef\xbb\xbf"):
        hint = "save it as UTF-8 without one, or set --encoding=utf-8-sig"
        raise InputError("it begins with a byte order mark", file=path, line=1, hint=hint)
    header, _, rows = first.partition(b"\n")
    check_text(path, 1, header + b"\n" if len(header) < len(first) else header)
    types = _parse_header(path, header.decode(), file_format)
    _check_required(path, types, file_format, required)
    return types, header, rows


def read_types(
    path: str | Path, file_format: AtomicFormat = DEFAULT_FORMAT, required: Sequence[str] = ()
) -> dict[str, str]:
    """Each column's type in an atomic file, which is read if it was not before.

    Arguments and errors as of `read_atomic`.
    """
    path = Path(path)
    if (types := table_cache.read_types(path, file_format)) is None:
        return read_atomic(path, file_format, required).types
    _check_required(path, types, file_format, required)
    return types


def _parse(path: Path, file_format: AtomicFormat, required: Sequence[str]) -> AtomicTable:
    with open_regular(path) as file:
        blocks = _utf8_blocks(file, path, file_format.encoding)
        types, header, rows = _split_header(path, next(blocks, b""), file_format, required)
        columns = [_column(path, name, kind, file_format) for name, kind in types.items()]
        tables, line = [], 2
        for block in filter(None, itertools.chain([rows], blocks)):
            check_text(path, line, block)
            if (at := (b"\n" + block).find(b"\n" + header + b"\n")) >= 0:
                again = line + block.count(b"\n", 0, at)
                raise InputError("the header line again", file=path, line=again)
            tables.append(_to_arrow(path, line, block, columns, file_format))
            line += len(tables[-1])
    if not tables:
        raise InputError("no rows below the header", file=path)
    joined = _concatenated(tables, file_format.time_field).unify_dictionaries()
    table = AtomicTable(path, types, joined)
    if path.suffix == ".inter" and types.get(file_format.time_field) == "float":
        times = joined[file_format.time_field].to_numpy()
        if (row := first_unit_change(times)) is not None:
            raise mixed_units_error(path, row + 2, times[0], times[row])
    return table


def _utf8_blocks(file: IO[bytes], path: Path, encoding: str) -> Iterator[bytes]:
    """The file in blocks of complete lines, as UTF-8; CRLF becomes a newline."""
    number = 1  # of the block's first line
    decoder = None
    if codecs.lookup(encoding).name != "utf-8":
        decoder = codecs.getincrementaldecoder(encoding)()
    rest = b""
    while True:
        block = file.read(_BLOCK_BYTES)
        if decoder is None:
            end = rest_of_line(file, path, number + block.count(b"\n")) if block else b""
            text = block + end
        else:
            try:
                text = rest + decoder.decode(block, final=not block).encode()
            except UnicodeError as error:
                line = number + rest.count(b"\n")
                if isinstance(error, UnicodeDecodeError):
                    line += _lines_before(error, encoding)
                raise InputError(f"not valid {encoding}", file=path, line=line) from None
            cut = text.rfind(b"\n") + 1 if block else len(text)
            text, rest = text[:cut], text[cut:]
            if len(rest) > MAX_LINE:
                message = f"a line longer than {MAX_LINE >> 20} MiB: the file is corrupt"
                raise InputError(message, file=path, line=number + text.count(b"\n"))
        if text:
            number += text.count(b"\n")
            yield text.replace(b"\r\n", b"\n") if b"\r" in text else text
        if not block:
            return


def _lines_before(error: UnicodeDecodeError, encoding: str) -> int:
    """The number of line ends before the bytes that cannot be decoded."""
    return error.object[: error.start].decode(encoding, errors="replace").count("\n")


def _parse_header(path: Path, header: str, file_format: AtomicFormat) -> dict[str, str]:
    """Each column's type, in file order. Raises InputError for a malformed name."""
    types: dict[str, str] = {}
    for text in header.split(file_format.separator):
        name, colon, kind = text.partition(":")
        if not colon or not name:
            hint = "the first line must name the columns, such as user_id:token"
            if file_format.separator == "\t" and len(header.split(",")) > 1:
                hint += "; for columns separated by commas set --field_separator=','"
            raise InputError(f"{text[:80]!r} is not name:type", file=path, line=1, hint=hint)
        if kind not in TYPES:
            hint = f"types are {', '.join(TYPES)}"
            if "," in kind and file_format.separator == "\t":
                hint += "; for columns separated by commas set --field_separator=','"
            message = f"column {name!r} has unknown type {kind[:80]!r}"
            raise InputError(message, file=path, line=1, hint=hint)
        if name in types:
            raise InputError(f"column {name!r} is named twice", file=path, line=1)
        types[name] = kind
    return types


def _check_required(
    path: Path, types: dict[str, str], file_format: AtomicFormat, required: Sequence[str]
) -> None:
    """Raise InputError for a required column that is missing or of another type."""
    for name in required:
        if name not in types:
            hint = f"there are {', '.join(types)}{did_you_mean(name, types)}"
            raise InputError(f"column {name!r} is missing", file=path, line=1, hint=hint)
        if types[name] != file_format.type_of(name):
            message = (
                f"column {name!r} must be of type {file_format.type_of(name)}, not {types[name]}"
            )
            raise InputError(message, file=path, line=1)


def _column(path: Path, name: str, kind: str, file_format: AtomicFormat) -> Column:
    ids = (file_format.user_field, file_format.item_field)
    is_id = kind == "token" and (name in ids or name.endswith("_id"))
    return Column(name, kind, is_id, may_be_empty=path.suffix != ".inter")


def _to_arrow(
    path: Path, line: int, block: bytes, columns: list[Column], file_format: AtomicFormat
) -> pa.Table:
    """The columns of a block of lines. Raises InputError for its first bad row.

    Arrow refuses most bad rows. It reads what it does not refuse, such as " 5" and "inf", as a
    number, so a block with such values is checked line by line.
    """
    import pyarrow as pa
    from pyarrow import csv

    content = block
    if block.startswith(codecs.BOM_UTF8):  # part of a field: the file's first line has none
        content = codecs.BOM_UTF8 + block  # Arrow removes one
    arrow = {"token": pa.dictionary(pa.int32(), pa.string()), "float": pa.float64()}
    types = {column.name: arrow.get(column.kind, pa.string()) for column in columns}
    floats = [column.name for column in columns if column.kind == "float"]

    def read(types: dict[str, Any]) -> pa.Table:
        return csv.read_csv(
            pa.py_buffer(content),
            csv.ReadOptions(column_names=list(types), block_size=max(len(content), 1)),
            csv.ParseOptions(
                delimiter=file_format.separator, quote_char=False, ignore_empty_lines=False
            ),
            csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True),
        )

    try:
        table = read(types)
    except pa.ArrowInvalid:  # a bad row, or a number as Arrow does not write it, such as "+5"
        check_rows(path, line, block, columns, file_format)
        table = read(types | dict.fromkeys(floats, pa.string()))
        for name in floats:
            numbers = [None if value is None else float(value) for value in table[name].to_pylist()]
            column = pa.chunked_array([pa.array(numbers, pa.float64())])
            table = table.set_column(table.schema.get_field_index(name), name, column)
    else:
        spaced = bool(floats) and _has_spaced_fields(block, file_format.separator.encode())
        if spaced or any(_is_doubtful(table[column.name], column) for column in columns):
            check_rows(path, line, block, columns, file_format)
    name = file_format.time_field
    if name in floats and (np.abs(table[name].to_numpy()) >= EXACT).any():
        try:
            return read(types | {name: pa.int64()})
        except pa.ArrowInvalid:  # not whole, or beyond int64
            return table
    return table


def _is_doubtful(values: pa.ChunkedArray, column: Column) -> bool:
    """Whether a column that Arrow has read may hold a value that `check_rows` refuses."""
    if column.kind == "float":
        empty = values.null_count > 0 and not column.may_be_empty
        return empty or not np.isfinite(values.drop_null().to_numpy()).all()
    return column.kind == "float_seq" or (column.is_id and values.null_count > 0)


def _has_spaced_fields(block: bytes, separator: bytes) -> bool:
    """Whether some field may begin or end with a space or a tab, which Arrow strips of numbers."""
    spaces = [space for space in (b" ", b"\t") if space != separator and space in block]
    pairs = [(space, end) for space in spaces for end in (separator, b"\n")]
    return block.startswith(tuple(spaces)) or any(
        a + b in block or b + a in block for a, b in pairs
    )


def _concatenated(tables: list[pa.Table], time_field: str) -> pa.Table:
    """One table of all blocks. Times are int64 if those of some block are, and no block's has a
    fraction."""
    import pyarrow as pa

    if len({table.schema for table in tables}) > 1:
        try:
            return pa.concat_tables([_cast(table, time_field, pa.int64()) for table in tables])
        except pa.ArrowInvalid:  # a fraction
            tables = [_cast(table, time_field, pa.float64(), safe=False) for table in tables]
    return pa.concat_tables(tables)


def _cast(table: pa.Table, name: str, kind: pa.DataType, safe: bool = True) -> pa.Table:
    index = table.schema.get_field_index(name)
    return table.set_column(index, name, table[name].cast(kind, safe=safe))
