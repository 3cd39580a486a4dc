"""Read one of RecBole's atomic files, and say which line is wrong when one is.

An atomic file is a table, one row a line, whose first line names the columns and their types:
`user_id:token<TAB>item_id:token<TAB>timestamp:float`. Quotes mean nothing in it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from llm4rec_recbole.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


TYPES = ("token", "float", "token_seq", "float_seq")


def read_atomic(
    path: str | Path,
    wanted: Callable[[str], bool] = lambda field: True,
    *,
    separator: str = "\t",
    encoding: str = "utf-8",
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The `wanted` columns of the file at `path`, and the type of each.

    `float` columns are float64; all others are text, with NaN where the cell is empty. Raises
    InputError, with file and line, for: a header that is malformed, names a column twice or comes
    again later; a line with more or fewer cells than the header; a cell that is no number where
    one is due; a file with no rows, or that is not text.
    """
    path = Path(path)
    try:
        types = _check_lines(path, separator, encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"this is not {encoding} text: {error.reason}", file=path) from error
    columns = [field for field in types if wanted(field)]
    return _read(path, {field: types[field] for field in columns}, separator, encoding), types


def _check_lines(path: Path, separator: str, encoding: str) -> dict[str, str]:
    """The columns and types that the header names; every line has as many cells."""
    with open(path, encoding=encoding, newline="\n") as file:
        header = file.readline().rstrip("\r\n")
        types = _parse_header(header, path, separator)
        rows = 0
        for number, line in enumerate(file, 2):
            if line.count(separator) != len(types) - 1 and line.strip():
                cells = line.count(separator) + 1
                raise InputError(
                    f"{cells} cells where the header names {len(types)} columns",
                    file=path,
                    line=number,
                )
            if line.rstrip("\r\n") == header:
                raise InputError("the header comes a second time", file=path, line=number)
            rows += 1
    if not rows:
        raise InputError("no rows below the header", file=path)
    return types


def _parse_header(header: str, path: Path, separator: str) -> dict[str, str]:
    types: dict[str, str] = {}
    for cell in header.split(separator):
        field, _, kind = cell.partition(":")
        if not field or kind not in TYPES:
            hint = f"a column is named name:type, where type is one of {', '.join(TYPES)}"
            raise InputError(f"malformed header at {cell!r}", file=path, line=1, hint=hint)
        if field in types:
            raise InputError(f"the header names {field} twice", file=path, line=1)
        types[field] = kind
    return types


def _read(path: Path, types: dict[str, str], separator: str, encoding: str) -> pd.DataFrame:
    import pandas as pd

    names = {f"{field}:{kind}": field for field, kind in types.items()}
    floats = [name for name in names if name.endswith(":float")]

    def read(dtypes: dict[str, type]) -> pd.DataFrame:
        return pd.read_csv(
            path,
            sep=separator,
            usecols=list(names),
            dtype=dtypes,
            encoding=encoding,
            quoting=csv.QUOTE_NONE,
            float_precision="round_trip",
        )

    try:
        frame = read({name: float if name in floats else str for name in names})
    except ValueError as error:
        text = read(dict.fromkeys(names, str))
        for name in floats:
            bad = text[name].notna() & pd.to_numeric(text[name], errors="coerce").isna()
            if bad.any():
                row = int(bad.to_numpy().argmax())
                message = f"{names[name]} is {text[name].iloc[row]!r}, not a number"
                raise InputError(message, file=path, line=line_of_row(path, row)) from error
        raise
    return frame.rename(columns=names)


def line_of_row(path: str | Path, row: int) -> int:
    """The line, counted from 1, at which the 0-based `row` of a table stands."""
    return next(line for index, line in enumerate(_lines_with_text(Path(path))) if index == row + 1)


def _lines_with_text(path: Path) -> Iterator[int]:
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number
