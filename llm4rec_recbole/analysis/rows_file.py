"""CSV files whose rows are dataclasses of str, int and float fields."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import write_atomically

_TYPES = {"float": float, "int": int, "str": str}


def write_rows(path: Path, kind: Any, rows: Iterable[Any]) -> None:
    """Write `rows`, all of the dataclass `kind`, a line each below a header, atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(kind)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_atomically(path, text.getvalue())


def read_rows(path: Path, kind: Any, hint: str) -> list[Any]:
    """Read what `write_rows` wrote. Raises FileNotFoundError; InputError, which names the line and
    gives `hint`, for what is not such a row."""
    found = []
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            try:
                values = {f.name: _TYPES[str(f.type)](row[f.name]) for f in fields(kind)}
            except (KeyError, TypeError, ValueError) as error:
                name = kind.__name__.lower()
                message = f"not a {name}"
                raise InputError(message, file=path, line=reader.line_num, hint=hint) from error
            found.append(kind(**values))
    return found
