"""Whether comparisons.csv was made from the runs that are there now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llm4rec_recbole.analysis.compare import COLUMNS as MADE_OF
from llm4rec_recbole.analysis.compare import (
    FILE,
    METRICS,
    Comparison,
    Label,
    against_best_baseline,
    best_baseline,
    per_user_differences,
    read_comparisons,
)
from llm4rec_recbole.analysis.paper import paper_numbers
from llm4rec_recbole.analysis.paper.paper_methods import (
    REFERENCES,
    Pairing,
    paper_rows,
    table_methods,
)
from llm4rec_recbole.analysis.system_level_tests import METRICS as WHOLE_RUN
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


def check_comparisons(
    comparisons: Sequence[Comparison],
    values: dict[str, Values],
    columns: Sequence[tuple[str, str]],
    pairs: Pairing,
    path: Path,
) -> dict[Label, Comparison]:
    """`comparisons` of one table and place by what they compare, as `values` give them anew.

    Raises InputError where one of the two has a comparison that the other lacks, or another
    difference.
    """
    given = {(c.ranking, c.metric, c.method, c.baseline): c for c in comparisons}
    made = {
        label: float(each.mean())
        for group in per_user_differences(values, columns, pairs)
        for label, each in group
    }
    if given.keys() != made.keys():
        raise stale_comparisons(path)
    if any(abs(given[label].difference - mean) > TOLERANCE for label, mean in made.items()):
        raise stale_comparisons(path)
    return given


def check_system_level(
    comparisons: Sequence[Comparison], records: Mapping[str, Sequence[Record]], path: Path
) -> None:
    """The same of numbers that a run has as a whole, which the records hold. None need be there:
    without the data set's files none is made."""
    for c in comparisons:
        numbers = [
            [record.beyond_accuracy[c.metric] for record in records.get(method, ())]
            for method in (c.method, c.baseline)
        ]
        if not all(numbers) or any(each is None for its in numbers for each in its):
            raise stale_comparisons(path)
        ours, baseline = (float(np.mean(np.array(its, dtype=float))) for its in numbers)
        if abs(c.difference - (ours - baseline)) > TOLERANCE:
            raise stale_comparisons(path)


def stale_comparisons(path: Path) -> InputError:
    """What to raise when comparisons.csv is older than the runs."""
    hint = "run `llm4rec compare` again"
    return InputError("the comparisons were not made from these users files", file=path, hint=hint)


# The rows of Table I: the paper's numbers, ours recomputed from the users files, and the tests.


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
        return f"{paper_numbers.heading(self.dataset)}; protocol {self.protocol}, {users}"


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
    paper = paper_numbers.read(printed_folder / "table_1.csv")
    comparisons = [c for c in read_comparisons(results / FILE) if c.table in MADE_OF]
    if any((c.dataset, c.protocol) not in grouped for c in comparisons):
        raise stale_comparisons(results / FILE)
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
    found = check_comparisons(
        of_table["table_1"], values, COLUMNS, against_best_baseline, comparisons_path
    )
    for (ranking, metric, method, _), test in found.items():
        tests[method][ranking, metric] = test
    of_users = [c for c in of_table["table_2"] if c.metric not in WHOLE_RUN]
    check_comparisons(of_users, values, MADE_OF["table_2"], against_best_baseline, comparisons_path)
    of_runs = [c for c in of_table["table_2"] if c.metric in WHOLE_RUN]
    check_system_level(of_runs, records, comparisons_path)
    labels = {method: label for label, method in paper_rows(recbole_row).items()}
    stands_for = paper_numbers.STANDS_FOR.get(dataset, "")
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


# What every table's caption says of the runs: seeds, failures, versions.


COMMON = (
    f"{REFERENCES[0]} to {REFERENCES[-1]}: references that the paper does not have.",
    "Best of a column bold, second best underlined, as rounded here.",
)


def run_notes(sections: list[AccuracySection]) -> list[str]:
    """The sentences on how many seeds were run, what failed, and what was made with what."""
    rows = [row for section in sections for row in section.rows]
    records = [record for row in rows for record in row.records]
    return [
        *_seeds(rows),
        *_failures(sections),
        *_versions("git commit", "git_commit", records),
        *_versions("config lock", "lock_sha256", records),
        *(note for section in sections for note in _data(section)),
    ]


def _seeds(rows: list[Row]) -> list[str]:
    ran = [row for row in rows if row.records]
    single = sorted({row.method for row in ran if len(row.records) == 1})
    if not ran:
        return []
    if all(len(row.records) == 1 for row in ran):
        return ["One seed for each method: how much a result varies between seeds is not known."]
    few = f" One seed only: {', '.join(single)}." if single else ""
    return [f"Means over the seeds given under Runs, averaged for each user first.{few}"]


def _failures(sections: list[AccuracySection]) -> list[str]:
    """Seeds that failed beside others that did not; a method without any says so in its row."""
    return [
        f"{section.dataset}, {section.protocol}: {row.method} failed with seed {failure.seed} "
        f"({first_line(failure.error)}); its numbers are from the other seeds."
        for section in sections
        for row in section.rows
        if row.records
        for failure in row.failures
    ]


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
    where = f"{section.dataset}, {section.protocol}: "
    return _versions("version of the data", "data_sha256", records, where)
