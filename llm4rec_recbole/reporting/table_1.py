"""Table I: accuracy, the paper's number and ours side by side, full and sampled ranking."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from llm4rec_recbole.analysis.compare import METRICS
from llm4rec_recbole.reporting import printed
from llm4rec_recbole.reporting.accuracy_rows import COLUMNS, AccuracySection, Column, Row
from llm4rec_recbole.reporting.formats import Cell, Place, Section, Table
from llm4rec_recbole.reporting.table_1_notes import LEVEL, notes

RANKING_NAMES = {"full": "Full", "uni100": "Uniform-100", "pop100": "Popular-100"}
METRIC_NAMES = {"hit@10": "HR@10", "ndcg@10": "NDCG@10"}
DECIMALS = 3  # as the paper prints
NONE = "–"


def build(sections: list[AccuracySection]) -> Table:
    """Table I for people; the best of a column is bold, the second best underlined."""
    columns = [("", "Method")]
    columns += [("Paper", METRIC_NAMES[metric]) for metric in METRICS]
    columns += [(RANKING_NAMES[ranking], METRIC_NAMES[metric]) for ranking, metric in COLUMNS]
    columns += [("", "Runs")]
    return Table(
        name="Table I",
        label="tab:accuracy",
        title="Accuracy: the paper's numbers and ours",
        columns=columns,
        sections=[Section(_heading(section), _cells(section)) for section in sections],
        notes=notes(sections),
    )


def to_csv(sections: list[AccuracySection]) -> str:
    """Table I for programs: one line for each row, empty where there is no number.

    `<ranking>_<metric>` is ours, `..._p_holm` its test against `..._best_baseline`.
    """
    names = ["dataset", "stands_for", "protocol", "users", "row", "method"]
    names += [f"paper_{metric}" for metric in METRICS]
    for ranking, metric in COLUMNS:
        names += [f"{ranking}_{metric}{end}" for end in ("", "_p_holm", "_best_baseline")]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*names, "seeds", "status"], restval="", lineterminator="\n")
    writer.writeheader()
    for section in sections:
        writer.writerows(_csv_row(section, row) for row in section.rows)
    return text.getvalue()


def _csv_row(section: AccuracySection, row: Row) -> dict[str, str | int]:
    values: dict[str, str | int] = {
        "dataset": section.dataset,
        "stands_for": printed.STANDS_FOR.get(section.dataset, ""),
        "protocol": section.protocol,
        "users": section.users,
        "row": row.label,
        "method": row.method,
        "seeds": len(row.records),
        "status": row.status,
    }
    values |= {f"paper_{metric}": number for metric, number in row.paper.items()}
    for (ranking, metric), value in row.ours.items():
        if (ranking, metric) in COLUMNS:
            values[f"{ranking}_{metric}"] = f"{value:.6f}"
    for (ranking, metric), test in row.tests.items():
        values[f"{ranking}_{metric}_p_holm"] = f"{test.p_holm:.4g}"
        values[f"{ranking}_{metric}_best_baseline"] = test.baseline
    return values


def _heading(section: AccuracySection) -> str:
    users = f"{section.users} test users" if section.users else "nothing has run"
    return f"{printed.heading(section.dataset)}; protocol {section.protocol}, {users}"


def _cells(section: AccuracySection) -> list[list[Cell]]:
    rows = section.rows
    columns = [[Cell(row.label) for row in rows]]
    for metric in METRICS:
        columns.append(_column([_float(row.paper.get(metric)) for row in rows]))
    for column in COLUMNS:
        marks = [_significant(row, column) for row in rows]
        columns.append(_column([row.ours.get(column) for row in rows], marks))
    columns.append([Cell(row.status) for row in rows])
    labels = {row.method: row.label for row in rows}
    best = [Cell(labels.get(section.baselines.get(c, ""), NONE)) for c in COLUMNS]
    paper = [Cell("") for _ in METRICS]
    return [*map(list, zip(*columns)), [Cell("Best baseline"), *paper, *best, Cell("")]]


def _column(values: Sequence[float | None], marks: Sequence[bool] = ()) -> list[Cell]:
    shown = [None if value is None else round(value, DECIMALS) for value in values]
    marks = marks or [False] * len(shown)
    return [
        Cell(NONE) if value is None else Cell(f"{value:.{DECIMALS}f}", place, mark)
        for value, place, mark in zip(shown, _places(shown), marks)
    ]


def _places(shown: Sequence[float | None]) -> list[Place]:
    """Best and second best as shown: equal to the last digit printed is equally good."""
    ranked = sorted({value for value in shown if value is not None}, reverse=True)
    places: dict[float | None, Place] = dict(zip(ranked, ("best", "second")))
    return [places.get(value, "") for value in shown]


def _float(text: str | None) -> float | None:
    return None if text is None else float(text)


def _significant(row: Row, column: Column) -> bool:
    return column in row.tests and row.tests[column].p_holm < LEVEL
