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


def table_1(path: Path) -> dict[tuple[str, str, str], str]:
    """(row label, paper's data set, metric) -> the number as printed, a string."""
    found = {}
    try:
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                label = row.pop("method")
                for column, value in row.items():
                    dataset, metric = column.split("/")
                    found[label, dataset, metric] = value
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise InputError("not the paper's Table I", file=path) from error
    return found


def heading(dataset: str) -> str:
    """The data set our numbers are for, and the paper's that it stands in for."""
    paper = STANDS_FOR.get(dataset)
    if paper is None:
        return f"{dataset} (not in the paper)"
    return f"{dataset} (the paper: {NAMES[paper]})" if paper == dataset else (
        f"{dataset}, standing in for the paper's {NAMES[paper]}"
    )  # fmt: skip
