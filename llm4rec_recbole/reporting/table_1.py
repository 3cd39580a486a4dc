"""Table I: accuracy, the paper's number and ours side by side, full and sampled ranking."""

from __future__ import annotations

from llm4rec_recbole.analysis.compare import METRICS
from llm4rec_recbole.analysis.comparisons import LEVEL
from llm4rec_recbole.reporting.accuracy_rows import COLUMNS, AccuracySection, Column, Row
from llm4rec_recbole.reporting.cells import NONE, column, number, to_csv_text, which_row
from llm4rec_recbole.reporting.formats import Cell, Section, Table
from llm4rec_recbole.reporting.table_1_notes import notes

RANKING_NAMES = {"full": "Full", "uni100": "Uniform-100", "pop100": "Popular-100"}
METRIC_NAMES = {"hit@10": "HR@10", "ndcg@10": "NDCG@10"}
DECIMALS = 3  # as the paper prints


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
        sections=[Section(s.heading, _cells(s), s.place, foot=1) for s in sections],
        notes=notes(sections),
    )


def to_csv(sections: list[AccuracySection]) -> str:
    """Table I for programs: one line for each row, empty where there is no number.

    `<ranking>_<metric>` is ours, `..._p_holm` its test against `..._best_baseline`.
    """
    names = [f"paper_{metric}" for metric in METRICS]
    for ranking, metric in COLUMNS:
        names += [f"{ranking}_{metric}{end}" for end in ("", "_p_holm", "_best_baseline")]
    rows = [_csv_row(section, row) for section in sections for row in section.rows]
    return to_csv_text(names, rows)


def _csv_row(section: AccuracySection, row: Row) -> dict[str, str | int]:
    values = which_row(section, row) | {
        f"paper_{metric}": number for metric, number in row.paper.items()
    }
    for (ranking, metric), value in row.ours.items():
        if (ranking, metric) in COLUMNS:
            values[f"{ranking}_{metric}"] = f"{value:.6f}"
    for (ranking, metric), test in row.tests.items():
        values[f"{ranking}_{metric}_p_holm"] = f"{test.p_holm:.4g}"
        values[f"{ranking}_{metric}_best_baseline"] = test.baseline
    return values


def _cells(section: AccuracySection) -> list[list[Cell]]:
    rows = section.rows
    columns = [[Cell(row.label) for row in rows]]
    for metric in METRICS:
        columns.append(column([row.paper.get(metric) for row in rows]))
    for ours in COLUMNS:
        shown = [number(row.ours.get(ours), DECIMALS) for row in rows]
        columns.append(column(shown, marks=[_significant(row, ours) for row in rows]))
    columns.append([Cell(row.status) for row in rows])
    labels = {row.method: row.label for row in rows}
    best = [Cell(labels.get(section.baselines.get(c, ""), NONE)) for c in COLUMNS]
    paper = [Cell("") for _ in METRICS]
    return [*map(list, zip(*columns)), [Cell("Best baseline"), *paper, *best, Cell("")]]


def _significant(row: Row, column: Column) -> bool:
    return column in row.tests and row.tests[column].p_holm < LEVEL
