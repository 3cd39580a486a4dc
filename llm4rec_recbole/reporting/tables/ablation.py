"""Table IV: one component after another, and what each step changes."""

from __future__ import annotations

from llm4rec_recbole.analysis.compare import LEVEL
from llm4rec_recbole.analysis.paper.paper_methods import TABLES
from llm4rec_recbole.reporting.tables import ablation_rows
from llm4rec_recbole.reporting.tables.render import Cell, Section, Table, column, number
from llm4rec_recbole.reporting.tables.rows import AccuracySection, run_notes

COLUMNS = TABLES["table_4"][1]
NAMES = {"hit@5": "HR@5", "hit@10": "HR@10", "ndcg@5": "NDCG@5", "ndcg@10": "NDCG@10"}
CHANGES = [("full", "hit@10"), ("full", "ndcg@10")]  # shown; the others are in the CSV


def build(sections: list[AccuracySection]) -> Table:
    """Table IV for people."""
    columns = [("", "Configuration"), *(("Paper", NAMES[metric]) for _, metric in COLUMNS)]
    columns += [("Ours", NAMES[metric]) for _, metric in COLUMNS]
    columns += [("Change [95 % interval]", NAMES[metric]) for _, metric in CHANGES]
    return Table(
        name="Table IV",
        label="tab:ablation",
        title="Ablation, one component after another: the paper's numbers and ours",
        columns=[*columns, ("", "Runs")],
        sections=[Section(s.heading, _cells(s), s.place) for s in sections],
        notes=_notes(sections),
    )


def to_csv(sections: list[AccuracySection]) -> str:
    """Table IV for programs."""
    return ablation_rows.to_csv(sections, COLUMNS)


def _cells(section: AccuracySection) -> list[list[Cell]]:
    rows = section.rows
    columns = [[Cell(row.label) for row in rows]]
    columns += [column([row.paper.get(metric) for row in rows]) for _, metric in COLUMNS]
    columns += [column([number(row.ours.get(c), 3) for row in rows]) for c in COLUMNS]
    for shown in CHANGES:
        columns.append([ablation_rows.change(row.tests.get(shown)) for row in rows])
    columns.append([Cell(row.status) for row in rows])
    return [*map(list, zip(*columns))]


def _notes(sections: list[AccuracySection]) -> list[str]:
    made = sum(len(row.tests) for section in sections for row in section.rows)
    tested = (
        f"*: p < {LEVEL:g}, paired t test over users, Holm-adjusted over the {made} comparisons "
        "that comparisons.csv lists for this table."
    )
    return [
        "Paper: as printed, for MovieLens-25M; no split, ranking, seed or variance is named. Ours: "
        "full ranking.",
        "Change: this row less the row above, over the same users, with a bootstrap interval; of "
        "Full Framework: less the first row.",
        "Adaptive Learning is the fifth of five components, so + Adaptive Learning and Full "
        "Framework are one configuration in the paper's own terms: one run fills both rows.",
        *([tested] if made else ["No two rows that follow each other have been run: no test."]),
        "Best of a column bold, second best underlined, as rounded here.",
        *run_notes(sections),
    ]
