"""The rows of Tables I to III: the paper's numbers, ours from the users files, and the tests."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from llm4rec_recbole.analysis.compare import COLUMNS as TESTED
from llm4rec_recbole.analysis.compare import (
    KINDS,
    METRICS,
    averaged,
    best_null,
    pairing,
    table_pairs,
)
from llm4rec_recbole.analysis.paired_tests import (
    FILE,
    Comparison,
    Label,
    Setting,
    per_user_differences,
    read_comparisons,
)
from llm4rec_recbole.analysis.paper import paper_numbers
from llm4rec_recbole.analysis.paper.paper_methods import (
    DETERMINISTIC,
    NOT_SEARCHED,
    OURS,
    Pairing,
    further_methods,
    group_of,
    paper_rows,
    row_label,
    table_methods,
)
from llm4rec_recbole.analysis.system_level_tests import METRICS as SYSTEM_LEVEL
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.records import (
    RANKINGS,
    Failure,
    Record,
    by_method,
    read_failures,
    read_records,
)
from llm4rec_recbole.evaluation.users_file import TOLERANCE, Values, per_seed_values
from llm4rec_recbole.reporting.tables.time_notes import time_note

Column = tuple[str, str]  # (ranking, metric)
COLUMNS: tuple[Column, ...] = tuple((r, m) for r in RANKINGS for m in METRICS)
#: The tables of comparisons.csv whose freshness `read_sections` checks.
CHECKED = tuple(table + ending for table in TESTED for ending in KINDS.values())


@dataclass(frozen=True)
class Row:
    """One method on one data set and protocol; `ours` and `tests` are empty where it has no run."""

    label: str
    printed_as: str  # the paper's label, "" for a method that the paper does not have
    method: str
    paper: dict[str, str]  # metric -> as printed
    ours: dict[Column, float]
    tests: dict[Column, Comparison]  # the test that the row's mark shows
    records: list[Record]
    failures: list[Failure]  # of seeds that have no record
    deviation: dict[Column, float] = field(default_factory=dict)  # over seeds, from two on
    group: str = ""

    @property
    def one_seed(self) -> bool:
        """Whether the method is random and has one run."""
        return len(self.records) == 1 and self.method not in DETERMINISTIC

    @property
    def status(self) -> str:
        """How many seeds the numbers are the mean of, or why there are none."""
        if self.records:
            if len(self.records) == 1:
                return "one seed" if self.one_seed else "deterministic"
            return f"{len(self.records)} seeds"
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
    reference: str = ""  # the reference or null with the best validation NDCG@10, "" without one
    time_note: str = ""  # about the order of time, for the caption

    @property
    def setting(self) -> str:
        """Data set and protocol, for readers."""
        return f"{self.dataset}, {self.protocol}"

    @property
    def heading(self) -> str:
        """The data set, the paper's data set that it stands in for, and the number of users."""
        users = f"{self.users} test users" if self.users else "nothing has run"
        return f"{paper_numbers.heading(self.dataset)}; protocol {self.protocol}, {users}"


def first_line(error: str, length: int = 100) -> str:
    """The first line of an error, cut to what fits into a table."""
    line = (error.splitlines() or ["no reason given"])[0]
    return line if len(line) <= length else line[: length - 1] + "…"


def read_sections(
    results: Path, failures_folder: Path, printed_folder: Path, recbole_row: str = "BPR"
) -> list[AccuracySection]:
    """All sections of Table I, by data set and protocol.

    Raises InputError when there is no record and no failure, when a file is bad, or when
    comparisons.csv was not made from these users files.
    """
    records = read_records(results)
    further = further_methods({record.method for record in records}, recbole_row)
    methods = table_methods(recbole_row, further)
    grouped = by_method(records, methods)
    failures = [f for f in read_failures(failures_folder) if f.method in methods]
    settings = sorted({*grouped, *((f.dataset, f.protocol) for f in failures)})
    if not settings:
        raise InputError("there are no run records", file=results / "runs", hint="run something")
    paper = paper_numbers.read(printed_folder / "table_1.csv")
    comparisons = [c for c in read_comparisons(results / FILE) if c.table in CHECKED]
    if any((c.dataset, c.protocol) not in grouped for c in comparisons):
        raise stale_comparisons(results / FILE)
    return [
        _section(
            setting,
            grouped.get(setting, {}),
            [f for f in failures if (f.dataset, f.protocol) == setting],
            [c for c in comparisons if (c.dataset, c.protocol) == setting],
            paper,
            recbole_row,
            results,
        )
        for setting in settings
    ]


def _section(
    setting: Setting,
    records: dict[str, list[Record]],
    failures: list[Failure],
    comparisons: list[Comparison],
    paper: dict[tuple[str, str], str],
    recbole_row: str,
    results: Path,
) -> AccuracySection:
    seeds_of = per_seed_values(records)
    values = averaged(seeds_of)
    check_tables(comparisons, values, records, recbole_row, results / FILE)
    tests: dict[str, dict[Column, Comparison]] = {}
    for test in sorted(comparisons, key=lambda c: c.table == "table_1"):  # whose marks win
        if test.table in ("table_1", "table_1_nulls", "table_1_further"):
            marked = test.baseline if test.method == OURS else test.method
            tests.setdefault(marked, {})[test.ranking, test.metric] = test
    labels = {method: label for label, method in paper_rows(recbole_row).items()}
    stands_for = paper_numbers.STANDS_FOR.get(setting[0], "")
    rows = []
    for method in table_methods(recbole_row, further_methods(records.keys(), recbole_row)):
        label = labels.get(method, "")
        seeds = records.get(method, [])
        printed = {m: paper.get((label, f"{stands_for}/{m}")) for m in METRICS}
        rows.append(
            Row(
                label=row_label(method, recbole_row, size_of(method, seeds)),
                printed_as=label,
                method=method,
                paper={m: number for m, number in printed.items() if number is not None},
                ours={c: float(v.mean()) for c, v in values.get(method, {}).items()
                      if c in COLUMNS},
                tests=tests.get(method, {}),
                records=seeds,
                failures=without_record(failures, method, seeds),
                deviation=deviations(seeds_of.get(method, {})),
                group=group_of(method, recbole_row),
            )
        )  # fmt: skip
    users = next((len(its[COLUMNS[0]]) for its in values.values()), 0)
    return AccuracySection(
        *setting, users, rows, best_null(records, OURS) or "", time_note(results, *setting)
    )


def deviations(values: Values) -> dict[Column, float]:
    """The standard deviation over seeds of a method's means; values: (S, U). {} for one seed."""
    means = {column: np.nanmean(v, axis=1) for column, v in values.items()
             if len(v) > 1 and not np.isnan(v).all()}  # fmt: skip
    return {column: float(its.std(ddof=1)) for column, its in means.items()}


def size_of(method: str, records: Sequence[Record]) -> str:
    """What a method's label says of its size, from its records; "" for methods that are searched.

    Methods whose options are not searched are smaller than the paper's.
    """
    if method not in NOT_SEARCHED or not records:
        return ""
    made = records[0].provenance
    parts = []
    if (parameters := records[0].cost.get("parameters")) is not None:
        parts.append(f"{parameters / 1e6:.1f} M parameters")
    if str(made.get("pretrained")).startswith("scratch"):
        parts.append("trained from scratch")
    elif made.get("llm_layers"):
        parts.append(f"{made['llm_layers']} layers")
    return ", ".join([*parts, "not searched"])


def groups_of(rows: Sequence[Row]) -> dict[int, str]:
    """Number of a row → the group that begins with it."""
    starts: dict[int, str] = {}
    for number, row in enumerate(rows):
        if row.group and (number == 0 or rows[number - 1].group != row.group):
            starts[number] = row.group
    return starts


def without_record(
    failures: Sequence[Failure], method: str, records: Sequence[Record]
) -> list[Failure]:
    """The failures of a method's seeds that have no record."""
    recorded = {record.seed for record in records}
    return [f for f in failures if f.method == method and f.seed not in recorded]


# Whether comparisons.csv was made from the runs that are there now.


def check_tables(
    comparisons: Sequence[Comparison],
    values: dict[str, Values],
    records: dict[str, list[Record]],
    recbole_row: str,
    path: Path,
) -> None:
    """Raises InputError where the comparisons of Tables I and II do not follow from the runs."""
    pairs = table_pairs(records, recbole_row)
    for kind, ending in KINDS.items():
        used = {method for pair in pairs[kind] for method in pair}
        of_pairs = {method: its for method, its in values.items() if method in used}
        for table, columns in TESTED.items():
            its = [c for c in comparisons if c.table == table + ending]
            of_users = [c for c in its if c.metric not in SYSTEM_LEVEL]
            check_comparisons(of_users, of_pairs, columns, pairing(pairs[kind]), path)
            check_system_level([c for c in its if c.metric in SYSTEM_LEVEL], records, path)


def check_comparisons(
    comparisons: Sequence[Comparison],
    values: dict[str, Values],
    columns: Sequence[tuple[str, str]],
    pairs: Pairing,
    path: Path,
) -> dict[Label, Comparison]:
    """`comparisons` of one table and setting, by what they compare.

    Raises InputError where `values` give another set of comparisons, or another difference.
    """
    given = {(c.ranking, c.metric, c.method, c.baseline): c for c in comparisons}
    computed = {
        label: float(difference.mean())
        for group in per_user_differences(values, columns, pairs)
        for label, difference in group
    }
    if given.keys() != computed.keys():
        raise stale_comparisons(path)
    if any(abs(given[label].difference - mean) > TOLERANCE for label, mean in computed.items()):
        raise stale_comparisons(path)
    return given


def check_system_level(
    comparisons: Sequence[Comparison], records: Mapping[str, Sequence[Record]], path: Path
) -> None:
    """Checks differences in coverage and fairness against the records.

    Missing comparisons are accepted: without the data set's files they cannot be made.
    """
    for c in comparisons:
        numbers = [
            [record.beyond_accuracy[c.metric] for record in records.get(method, ())]
            for method in (c.method, c.baseline)
        ]
        if not all(numbers) or any(number is None for its in numbers for number in its):
            raise stale_comparisons(path)
        ours, baseline = (float(np.mean(np.array(its, dtype=float))) for its in numbers)
        if abs(c.difference - (ours - baseline)) > TOLERANCE:
            raise stale_comparisons(path)


def stale_comparisons(path: Path) -> InputError:
    """The error for a comparisons.csv that is older than the runs."""
    message = "the comparisons were not made from these users files"
    return InputError(message, file=path, hint="run `llm4rec compare` again")


# The lines of a table's CSV.


def row_key(section: AccuracySection, row: Row) -> dict[str, str | int]:
    """The columns with which each line of a table's CSV begins and ends."""
    return {
        "dataset": section.dataset,
        "stands_for": paper_numbers.STANDS_FOR.get(section.dataset, ""),
        "protocol": section.protocol,
        "users": section.users,
        "row": row.label,
        "method": row.method,
        "seeds": len(row.records),
        "status": row.status,
    }


def to_csv_text(names: Sequence[str], rows: Sequence[dict[str, str | int]]) -> str:
    """CSV of `rows`, each `row_key` and values under `names`, empty where there is none."""
    first = ["dataset", "stands_for", "protocol", "users", "row", "method"]
    text = io.StringIO()
    writer = csv.DictWriter(
        text, [*first, *names, "seeds", "status"], restval="", lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
