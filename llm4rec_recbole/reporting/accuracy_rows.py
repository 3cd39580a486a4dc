"""The rows of Table I: the paper's numbers, ours recomputed from the users files, and the tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llm4rec_recbole.analysis import printed
from llm4rec_recbole.analysis.compare import COLUMNS as MADE_OF
from llm4rec_recbole.analysis.compare import METRICS, against_best, best_baseline
from llm4rec_recbole.analysis.comparisons import FILE, Comparison, read_comparisons
from llm4rec_recbole.analysis.per_user import per_user_values
from llm4rec_recbole.analysis.records import (
    RANKINGS,
    Failure,
    Record,
    by_method,
    read_failures,
    read_records,
)
from llm4rec_recbole.analysis.table_rows import paper_rows, table_methods
from llm4rec_recbole.analysis.whole_run import METRICS as WHOLE_RUN
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.reporting.freshness import check_whole_runs, checked, stale

Column = tuple[str, str]  # (ranking, metric)
COLUMNS: tuple[Column, ...] = tuple((r, m) for r in RANKINGS for m in METRICS)


@dataclass(frozen=True)
class Row:
    """One method on one data set and protocol; `ours` and `tests` are empty where it has no run."""

    label: str
    printed_as: str  # the paper's label, "" for the references
    method: str
    paper: dict[str, str]  # metric -> as printed; empty for the references
    ours: dict[Column, float]
    tests: dict[Column, Comparison]  # none in a column where the method is the best baseline
    records: list[Record]
    failures: list[Failure]  # of seeds that have no record

    @property
    def status(self) -> str:
        """How many seeds the numbers are the mean of, or why there are none."""
        if self.records:
            return "1 seed" if len(self.records) == 1 else f"{len(self.records)} seeds"
        if self.failures:
            return f"failed: {first_line(self.failures[0].error)}"
        return "not run"


@dataclass(frozen=True)
class AccuracySection:
    """All rows of one data set and protocol, in order."""

    dataset: str
    protocol: str
    users: int  # 0 where nothing has run
    rows: list[Row]
    baselines: dict[Column, str]  # the best baseline of each column

    @property
    def place(self) -> str:
        """Data set and protocol, as a reader would name them."""
        return f"{self.dataset}, {self.protocol}"

    @property
    def heading(self) -> str:
        """What the numbers are for, and how many users they are means over."""
        users = f"{self.users} test users" if self.users else "nothing has run"
        return f"{printed.heading(self.dataset)}; protocol {self.protocol}, {users}"


def first_line(error: str, length: int = 100) -> str:
    """The first line of an error, cut to what fits into a table."""
    line = (error.splitlines() or ["no reason given"])[0]
    return line if len(line) <= length else line[: length - 1] + "…"


def read_sections(
    results: Path, failures_folder: Path, printed_folder: Path, recbole_row: str = "BPR"
) -> list[AccuracySection]:
    """All sections of Table I, by data set and protocol.

    Raises InputError when there is nothing at all, when a file is bad, or when comparisons.csv
    was not made from these users files.
    """
    methods = table_methods(recbole_row)
    grouped = by_method(read_records(results), methods)
    failures = [f for f in read_failures(failures_folder) if f.method in methods]
    places = sorted({*grouped, *((f.dataset, f.protocol) for f in failures)})
    if not places:
        raise InputError("there are no run records", file=results / "runs", hint="run something")
    paper = printed.read(printed_folder / "table_1.csv")
    comparisons = [c for c in read_comparisons(results / FILE) if c.table in MADE_OF]
    if any((c.dataset, c.protocol) not in grouped for c in comparisons):
        raise stale(results / FILE)
    return [
        _section(
            place,
            grouped.get(place, {}),
            [f for f in failures if (f.dataset, f.protocol) == place],
            [c for c in comparisons if (c.dataset, c.protocol) == place],
            paper,
            recbole_row,
            results / FILE,
        )
        for place in places
    ]


def _section(
    place: tuple[str, str],
    records: dict[str, list[Record]],
    failures: list[Failure],
    comparisons: list[Comparison],
    paper: dict[tuple[str, str], str],
    recbole_row: str,
    comparisons_path: Path,
) -> AccuracySection:
    dataset, protocol = place
    values = per_user_values(records)
    means = {m: {c: float(v[c].mean()) for c in COLUMNS} for m, v in values.items()}
    baselines = {c: best_baseline({m: its[c] for m, its in means.items()}) for c in COLUMNS}
    tests: dict[str, dict[Column, Comparison]] = {method: {} for method in means}
    of_table = {table: [c for c in comparisons if c.table == table] for table in MADE_OF}
    found = checked(of_table["table_1"], values, COLUMNS, against_best, comparisons_path)
    for (ranking, metric, method, _), test in found.items():
        tests[method][ranking, metric] = test
    of_users = [c for c in of_table["table_2"] if c.metric not in WHOLE_RUN]
    checked(of_users, values, MADE_OF["table_2"], against_best, comparisons_path)
    of_runs = [c for c in of_table["table_2"] if c.metric in WHOLE_RUN]
    check_whole_runs(of_runs, records, comparisons_path)
    labels = {method: label for label, method in paper_rows(recbole_row).items()}
    stands_for = printed.STANDS_FOR.get(dataset, "")
    rows = []
    for method in table_methods(recbole_row):
        label = labels.get(method, "")
        its_records = records.get(method, [])
        done = {record.seed for record in its_records}
        printed_there = {m: paper.get((label, f"{stands_for}/{m}")) for m in METRICS}
        rows.append(
            Row(
                label=f"{label} ({method})" if label not in ("", method) else method,
                printed_as=label,
                method=method,
                paper={m: number for m, number in printed_there.items() if number is not None},
                ours=means.get(method, {}),
                tests=tests.get(method, {}),
                records=its_records,
                failures=[f for f in failures if f.method == method and f.seed not in done],
            )
        )
    users = next((len(its[COLUMNS[0]]) for its in values.values()), 0)
    return AccuracySection(
        dataset, protocol, users, rows, {c: b for c, b in baselines.items() if b is not None}
    )
