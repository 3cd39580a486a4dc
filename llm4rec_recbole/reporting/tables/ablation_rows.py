"""The rows of Tables IV and V: the paper's numbers, ours from the users files, and the tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llm4rec_recbole.analysis.compare import FILE, LEVEL, Comparison, Label
from llm4rec_recbole.analysis.paper import paper_methods, paper_numbers
from llm4rec_recbole.evaluation.per_user import Values, mean_of_known, per_user_values
from llm4rec_recbole.evaluation.records import (
    Failure,
    Record,
    by_method,
    read_failures,
    read_records,
)
from llm4rec_recbole.reporting.tables.render import NONE, Cell, row_key, to_csv_text
from llm4rec_recbole.reporting.tables.rows import AccuracySection, Column, Row, check_comparisons

Printed = dict[tuple[str, str], str]
PAPER_DATA = "ml-25m"  # the one data set of the paper's ablation


@dataclass(frozen=True)
class Ablation:
    """Tables IV and V of one data set and protocol; their rows are compared as ablation.py says."""

    table_4: AccuracySection
    table_5: AccuracySection
    backbone: dict[Column, float]  # its means; empty where it has no run


def read_ablations(
    results: Path,
    failures_folder: Path,
    paper: dict[str, Printed],
    comparisons: Sequence[Comparison],
    places: Sequence[tuple[str, str]],
) -> list[Ablation]:
    """Both tables for each of `places` (data set, protocol), whether or not anything has run there.

    Raises InputError when a file is bad, or `comparisons` were not made from these users files.
    """
    grouped = by_method(read_records(results), paper_methods.METHODS)
    failures = [f for f in read_failures(failures_folder) if f.method in paper_methods.METHODS]
    found = []
    for place in places:
        records = grouped.get(place, {})
        values = per_user_values(records)
        its_failures = [f for f in failures if (f.dataset, f.protocol) == place]
        backbone = {c: mean_of_known(v) for c, v in values.get(paper_methods.BACKBONE, {}).items()}
        sections: list[AccuracySection] = []
        for table, labels, compared in (
            ("table_4", paper_methods.TABLE_4, paper_methods.STEPS),
            ("table_5", paper_methods.TABLE_5, paper_methods.CONTRIBUTIONS),
        ):
            its = [c for c in comparisons if (c.table, c.dataset, c.protocol) == (table, *place)]
            pairs, columns = paper_methods.TABLES[table]
            tests = check_comparisons(its, values, columns, pairs, results / FILE)
            rows = [
                _row(label, method, compared.get(label), tests, values, records, its_failures,
                     paper[table] if paper_numbers.STANDS_FOR.get(place[0]) == PAPER_DATA else {})
                for label, method in labels.items()
            ]  # fmt: skip
            users = next((len(v["full", "hit@10"]) for v in values.values()), 0)
            sections.append(AccuracySection(*place, users, rows, {}))
        found.append(Ablation(sections[0], sections[1], backbone))
    return found


def _row(
    label: str,
    method: str,
    compared: tuple[str, str] | None,
    tests: dict[Label, Comparison],
    values: dict[str, Values],
    records: dict[str, list[Record]],
    failures: list[Failure],
    paper: Printed,
) -> Row:
    its_tests = {key[:2]: test for key, test in tests.items() if key[2:] == compared}
    its_records = records.get(method, [])
    if label == paper_methods.SYNERGY and not its_tests:
        its_records = []  # a run of the whole alone says nothing about it
    done = {record.seed for record in its_records}
    return Row(
        label=label,
        printed_as=label,
        method=method,
        paper={column: number for (row, column), number in paper.items() if row == label},
        ours={c: mean_of_known(v) for c, v in values.get(method, {}).items()},
        tests=its_tests,
        records=its_records,
        failures=[f for f in failures if f.method == method and f.seed not in done],
    )


def change(test: Comparison | None, *, per_cent_of: float | None = None) -> Cell:
    """A difference with its interval, marked where Holm's p tells it from chance."""
    if test is None or per_cent_of == 0:
        return Cell(NONE)
    ends = (test.difference, test.low, test.high)
    shown = (
        [f"{x:+.3f}" for x in ends]
        if per_cent_of is None
        else [f"{100 * x / per_cent_of:+.1f}" for x in ends]
    )
    unit = "" if per_cent_of is None else " %"
    return Cell(f"{shown[0]}{unit} [{shown[1]}, {shown[2]}]", marked=test.p_holm < LEVEL)


def to_csv(sections: list[AccuracySection], columns: Sequence[Column]) -> str:
    """A line for each row: the paper's numbers as printed, our means, and the differences.

    `<metric>_change` is the row less `against`, with `_low`, `_high` and `_p_holm`; empty where one
    of the two has no run.
    """
    names = [
        f"paper_{m}" for m in dict.fromkeys(m for s in sections for r in s.rows for m in r.paper)
    ]
    names.append("against")
    for _, metric in columns:
        names += [metric, *(f"{metric}_change{end}" for end in ("", "_low", "_high", "_p_holm"))]
    lines = []
    for section in sections:
        for row in section.rows:
            line = row_key(section, row) | {f"paper_{m}": text for m, text in row.paper.items()}
            for column in columns:
                if row.records and column in row.ours:
                    line[column[1]] = f"{row.ours[column]:.6f}"
                if (test := row.tests.get(column)) is not None:
                    line["against"] = test.baseline
                    ends = {"": test.difference, "_low": test.low, "_high": test.high}
                    line |= {f"{column[1]}_change{end}": f"{x:.6f}" for end, x in ends.items()}
                    line[f"{column[1]}_change_p_holm"] = f"{test.p_holm:.4g}"
            lines.append(line)
    return to_csv_text(names, lines)
