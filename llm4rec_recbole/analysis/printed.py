"""The paper's printed numbers, and which of its data sets ours stands in for."""

from __future__ import annotations

import csv
from pathlib import Path

from llm4rec_recbole.errors import InputError

# Our data set -> the paper's, as the columns of the printed tables call it.
STANDS_FOR = {
    "ml-100k": "ml-25m",
    "ml-latest-small": "ml-25m",
    "ml-1m": "ml-25m",
    "ml-25m": "ml-25m",
    "amazon-electronics": "amazon-electronics",
    "yelp-2023": "yelp-2023",
}
NAMES = {
    "ml-25m": "MovieLens-25M",
    "amazon-electronics": "Amazon-Electronics",
    "yelp-2023": "Yelp-2023",
}


def folder() -> Path:
    """`paper_tables/printed`: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "printed"
    return inside if inside.is_dir() else package.parent / "paper_tables" / "printed"


def read(path: Path) -> dict[tuple[str, str], str]:
    """(row label, column) -> what the paper prints there, in its order; the first column labels.

    Raises InputError when the file is absent, or a row has more or fewer cells than the header.
    """
    found: dict[tuple[str, str], str] = {}
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            _, *columns = next(rows)
            for label, *cells in rows:
                if len(cells) != len(columns):
                    raise InputError("not as many cells as columns", file=path, line=rows.line_num)
                found |= {(label, column): cell for column, cell in zip(columns, cells)}
    except (FileNotFoundError, StopIteration, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("not a table of the paper", file=path) from error
    return found


def heading(dataset: str) -> str:
    """The data set our numbers are for, and the paper's that it stands in for."""
    paper = STANDS_FOR.get(dataset)
    if paper is None:
        return f"{dataset} (not in the paper)"
    return f"{dataset} (the paper: {NAMES[paper]})" if paper == dataset else (
        f"{dataset}, standing in for the paper's {NAMES[paper]}"
    )  # fmt: skip
