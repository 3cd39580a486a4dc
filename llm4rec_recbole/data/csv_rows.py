"""The rows of a CSV file (RFC 4180) with a header, each with the number of its first line."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path

from llm4rec_recbole.data.lines import read_lines
from llm4rec_recbole.errors import InputError


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
            near = difflib.get_close_matches(name, header, n=1)
            hint = f"there are {', '.join(header)}" + "".join(f"; nearest is {n}" for n in near)
            raise InputError(f"column {name!r} is missing", file=path, line=1, hint=hint)
    return [header.index(name) for name in columns]
