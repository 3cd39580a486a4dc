"""results/comparisons.csv: one row for each method, ranking and metric of a table."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import write_atomically

FILE = "comparisons.csv"
LEVEL = 0.05  # below which Holm's p counts as a difference


@dataclass(frozen=True)
class Comparison:
    """One method against the best baseline; a row of comparisons.csv."""

    table: str
    dataset: str
    protocol: str
    ranking: str
    metric: str
    method: str
    baseline: str
    difference: float  # mean over users of method - baseline
    low: float  # 95 % bootstrap interval of the difference
    high: float
    d: float  # Cohen's d, paired
    p_t: float
    p_randomization: float
    p_holm: float  # p_t, adjusted over the whole table
    users: int
    smallest_detectable: float  # with 80 % power at the 5 % level, before Holm


def write_comparisons(path: Path, comparisons: list[Comparison]) -> None:
    """Write one row for each comparison, with a header, atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Comparison)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(comparison) for comparison in comparisons)
    write_atomically(path, text.getvalue())


def read_comparisons(path: Path) -> list[Comparison]:
    """Read what `write_comparisons` wrote; InputError names the line that it cannot have."""
    types = {"float": float, "int": int, "str": str}
    found = []
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            for row in reader:
                try:
                    values = {f.name: types[str(f.type)](row[f.name]) for f in fields(Comparison)}
                except (KeyError, TypeError, ValueError) as error:
                    raise InputError("not a comparison", file=path, line=reader.line_num) from error
                found.append(Comparison(**values))
    except FileNotFoundError as error:
        hint = "run `python -m llm4rec_recbole.analysis.compare`"
        raise InputError("there are no comparisons", file=path, hint=hint) from error
    return found
