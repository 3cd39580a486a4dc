"""The rows of Tables I to III: the paper's numbers, ours from the users files, and the tests."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llm4rec_recbole.analysis.compare import COLUMNS as TESTED
from llm4rec_recbole.analysis.compare import (
    FILE,
    KINDS,
    METRICS,
    Comparison,
    Label,
    Setting,
    best_null,
    pairing,
    per_user_differences,
    read_comparisons,
    table_pairs,
)
from llm4rec_recbole.analysis.paper import paper_numbers
from llm4rec_recbole.analysis.paper.paper_methods import (
    DETERMINISTIC,
    OURS,
    REFERENCES,
    Pairing,
    further_methods,
    paper_rows,
    row_label,
    table_methods,
)
from llm4rec_recbole.analysis.system_level_tests import METRICS as SYSTEM_LEVEL
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.per_user import TOLERANCE, Values, per_user_values
from llm4rec_recbole.evaluation.records import (
    RANKINGS,
    Failure,
    Record,
    by_method,
    read_failures,
    read_records,
)
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
    values = per_user_values(records)
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
                label=row_label(method, recbole_row),
                printed_as=label,
                method=method,
                paper={m: number for m, number in printed.items() if number is not None},
                ours={c: float(v.mean()) for c, v in values.get(method, {}).items()
                      if c in COLUMNS},
                tests=tests.get(method, {}),
                records=seeds,
                failures=without_record(failures, method, seeds),
            )
        )  # fmt: skip
    users = next((len(its[COLUMNS[0]]) for its in values.values()), 0)
    return AccuracySection(
        *setting, users, rows, best_null(records, OURS) or "", time_note(results, *setting)
    )


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


# Notes on the runs that every table has: seeds, failures, versions.


COMMON = (
    f"{REFERENCES[0]} to {REFERENCES[-1]}: references that the paper does not have. Rows below "
    "them: methods that this project does not have either.",
    "Best of a column bold, second best underlined, as rounded here.",
)


def run_notes(sections: list[AccuracySection]) -> list[str]:
    """The sentences on seeds, failed runs, and versions of code, packages and data."""
    rows = [row for section in sections for row in section.rows]
    records = [record for row in rows for record in row.records]
    return [
        *_seeds(rows),
        *_failures(sections),
        *_idle_components(records),
        *_versions("git commit", "git_commit", records),
        *_versions("config lock", "lock_sha256", records),
        *(note for section in sections for note in _data(section)),
    ]


def _seeds(rows: list[Row]) -> list[str]:
    ran = [row for row in rows if row.records]
    if not ran:
        return []
    single = sorted({row.method for row in ran if row.one_seed})
    means = "Means over the seeds given under Runs, averaged for each user first."
    if not single:
        return [means]
    return [
        f"{means} One seed: {', '.join(single)}. How much a result varies between seeds is then "
        "unknown, and the result supports no claim."
    ]


def _failures(sections: list[AccuracySection]) -> list[str]:
    """Seeds that failed where other seeds did not; a method without any has it in its row."""
    return [
        f"{section.setting}: {row.method} failed with seed {failure.seed} "
        f"({first_line(failure.error)}); its numbers are from the other seeds."
        for section in sections
        for row in section.rows
        if row.records
        for failure in row.failures
    ]


def _idle_components(records: list[Record]) -> list[str]:
    """Components that a run had on and that found nothing in its data to work on."""
    notes: dict[str, None] = {}
    for record in records:
        idle = record.provenance.get("idle_components")
        for name, lacking in idle.items() if isinstance(idle, dict) else ():
            notes[f"{record.method} on {record.dataset}: component {name} is off ({lacking})."] = (
                None
            )
    return list(notes)


def _versions(name: str, key: str, records: list[Record], where: str = "") -> list[str]:
    methods: dict[str, set[str]] = {}
    for record in records:
        methods.setdefault(str(record.provenance[key]), set()).add(record.method)
    if len(methods) < 2:
        return []
    listed = "; ".join(f"{_short(v)}: {', '.join(sorted(m))}" for v, m in methods.items())
    return [f"{where}Made with more than one {name} ({listed})."]


def _short(version: str) -> str:
    """The first eight digits of a hash, and what follows it, such as "-dirty"."""
    digits, dash, rest = version.partition("-")
    return digits[:8] + dash + rest


def _data(section: AccuracySection) -> list[str]:
    records = [record for row in section.rows for record in row.records]
    return _versions("version of the data", "data_sha256", records, f"{section.setting}: ")
