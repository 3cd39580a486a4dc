"""The rows of Tables I to III: the paper's numbers, ours from the users files, and the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from llm4rec_recbole.analysis.compare import METRICS, Column, best_null
from llm4rec_recbole.analysis.paired_tests import Comparison
from llm4rec_recbole.analysis.paper import paper_tables
from llm4rec_recbole.analysis.paper.paper_tables import Printed
from llm4rec_recbole.evaluation.metrics import mean_of_known
from llm4rec_recbole.evaluation.record_reader import RANKINGS, Failure, Record, Runs
from llm4rec_recbole.evaluation.users_file import Values
from llm4rec_recbole.reporting.tables.render import Cell, Section, csv_text

COLUMNS: tuple[Column, ...] = tuple((r, m) for r in RANKINGS for m in METRICS)


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
        return len(self.records) == 1 and self.method not in paper_tables.DETERMINISTIC

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
        return f"{paper_tables.dataset_heading(self.dataset)}; protocol {self.protocol}, {users}"


def first_line(error: str) -> str:
    """The first line of an error, cut to the 100 characters that fit into a table."""
    line = (error.splitlines() or ["no reason given"])[0]
    return line if len(line) <= 100 else line[:99] + "…"


@dataclass(frozen=True)
class SettingResults:
    """The runs, tests and failures of one data set and protocol."""

    dataset: str
    protocol: str
    runs: Runs
    values: dict[str, Values]  # method -> (S, U) for each column
    comparisons: list[Comparison]
    failures: list[Failure]

    @property
    def users(self) -> int:
        """The number of test users, 0 where nothing has run."""
        return next((scores[COLUMNS[0]].shape[1] for scores in self.values.values()), 0)

    def means(self, method: str) -> dict[Column, float]:
        """Means over seeds and users; users without a value are left out. {} without a run."""
        values = self.values.get(method, {})
        return {column: mean_of_known(v.mean(axis=0)) for column, v in values.items()}

    def row(
        self,
        label: str,
        method: str,
        tests: dict[Column, Comparison],
        group: str,
        *,
        printed_as: str = "",
        paper: Mapping[str, str | None] = MappingProxyType({}),
    ) -> Row:
        """The row of `method`."""
        records, values = self.runs.get(method, []), self.values.get(method, {})
        recorded = {record.seed for record in records}
        return Row(
            label=label,
            printed_as=printed_as,
            method=method,
            paper={metric: printed for metric, printed in paper.items() if printed is not None},
            ours=self.means(method),
            tests=tests,
            records=records,
            failures=[f for f in self.failures if f.method == method and f.seed not in recorded],
            deviation={
                column: float(np.nanmean(v, axis=1).std(ddof=1))
                for column, v in values.items()
                if len(v) > 1 and not np.isnan(v).all()
            },
            group=group,
        )


def accuracy_section(results: SettingResults, paper: Printed, time_note: str) -> AccuracySection:
    """The rows of Table I; `paper` has the numbers that it prints."""
    tests: dict[str, dict[Column, Comparison]] = {}
    for test in sorted(results.comparisons, key=lambda c: c.table == "table_1"):  # whose marks win
        if test.table in ("table_1", "table_1_nulls", "table_1_further"):
            tests.setdefault(test.other, {})[test.ranking, test.metric] = test
    stands_for = paper_tables.STANDS_FOR.get(results.dataset, "")
    rows = [
        results.row(
            paper_tables.row_label(method, size_of(method, results.runs.get(method, []))),
            method,
            tests.get(method, {}),
            paper_tables.group_of(method),
            printed_as=(printed := paper_tables.PAPER_ROWS.get(method, "")),
            paper={m: paper.get((printed, f"{stands_for}/{m}")) for m in METRICS},
        )
        for method in paper_tables.table_methods(results.runs.keys())
    ]
    reference = best_null(results.runs, paper_tables.OURS) or ""
    return AccuracySection(
        results.dataset, results.protocol, results.users, rows, reference, time_note
    )


def size_of(method: str, records: Sequence[Record]) -> str:
    """What a method's label says of its size, from its records; "" for methods that are searched.

    Methods whose options are not searched are smaller than the paper's.
    """
    if method not in paper_tables.NOT_SEARCHED or not records:
        return ""
    provenance = records[0].provenance
    parts = []
    if (parameters := records[0].cost.get("parameters")) is not None:
        parts.append(f"{parameters / 1e6:.1f} M parameters")
    if str(provenance.get("pretrained")).startswith("scratch"):
        parts.append("trained from scratch")
    elif provenance.get("llm_layers"):
        parts.append(f"{provenance['llm_layers']} layers")
    return ", ".join([*parts, "not searched"])


def group_starts(groups: Sequence[str]) -> dict[int, str]:
    """Number of a row → the group that begins with it. groups: of each row, "" for none."""
    pairs = zip(["", *groups], groups)
    return {n: group for n, (before, group) in enumerate(pairs) if group and group != before}


def table_section(section: AccuracySection, columns: Sequence[list[Cell]]) -> Section:
    """The rows' labels, then `columns`, then the runs that the numbers are the mean of."""
    rows = section.rows
    cells = zip([Cell(row.label) for row in rows], *columns, [Cell(row.status) for row in rows])
    starts = group_starts([row.group for row in rows])
    return Section(section.heading, [*map(list, cells)], section.setting, starts)


# The lines of a table's CSV.


def row_key(section: AccuracySection, row: Row) -> dict[str, str | int]:
    """The columns with which each line of a table's CSV begins and ends."""
    return {
        "dataset": section.dataset,
        "stands_for": paper_tables.STANDS_FOR.get(section.dataset, ""),
        "protocol": section.protocol,
        "users": section.users,
        "row": row.label,
        "method": row.method,
        "seeds": len(row.records),
        "status": row.status,
    }


def to_csv_text(names: Sequence[str], rows: Sequence[dict[str, str | int]]) -> str:
    """CSV of `rows`, each `row_key` and values under `names`, empty where there is none."""
    header = ["dataset", "stands_for", "protocol", "users", "row", "method", *names]
    header += ["seeds", "status"]
    return csv_text(header, ([row.get(name, "") for name in header] for row in rows))
