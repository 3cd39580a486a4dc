"""results/comparisons.csv: one row for each method, ranking and metric of a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llm4rec_recbole.analysis.rows_file import read_rows, write_rows
from llm4rec_recbole.errors import InputError

FILE = "comparisons.csv"
_HINT = "run `python -m llm4rec_recbole.analysis.compare`"
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
    d: float  # Cohen's d, paired: t / √U
    p_t: float  # of the paired t test; for a number of a whole run, the z test of whole_run.py
    p_randomization: float
    p_holm: float  # p_t, adjusted over the whole table
    users: int
    smallest_detectable: float  # with 80 % power at the 5 % level, before Holm


def write_comparisons(path: Path, comparisons: list[Comparison]) -> None:
    """Write one row for each comparison, with a header, atomically."""
    write_rows(path, Comparison, comparisons)


def read_comparisons(path: Path) -> list[Comparison]:
    """Read what `write_comparisons` wrote; InputError names the line that it cannot have."""
    try:
        return read_rows(path, Comparison, _HINT)
    except FileNotFoundError as error:
        raise InputError("there are no comparisons", file=path, hint=_HINT) from error
