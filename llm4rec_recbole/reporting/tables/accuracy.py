"""The caption of Table I: what a reader must know before trusting a number in it."""

from __future__ import annotations

from llm4rec_recbole.analysis.compare import LEVEL, METRICS
from llm4rec_recbole.analysis.paper.paper_methods import OURS
from llm4rec_recbole.reporting.tables.render import (
    NONE,
    Cell,
    Section,
    Table,
    column,
    number,
    row_key,
    to_csv_text,
)
from llm4rec_recbole.reporting.tables.rows import (
    COLUMNS,
    COMMON,
    AccuracySection,
    Column,
    Row,
    run_notes,
)


def notes(sections: list[AccuracySection]) -> list[str]:
    """The caption, a sentence or two an entry."""
    rows = [row for section in sections for row in section.rows]
    return [
        "Paper: as printed; the authors name no split and no ranking, and their data set is not "
        "the one our numbers are for unless the heading says so.",
        "Full: ranked among all items that the user has not seen. Uniform-100, Popular-100: among "
        "100 sampled negatives, the same for all methods; no claim rests on these.",
        *COMMON,
        *_adapted(rows),
        _tests(rows),
        *_detectable(sections),
        *run_notes(sections),
    ]


def _adapted(rows: list[Row]) -> list[str]:
    """What one method was allowed and the others were not."""
    if not any(row.method == OURS and row.records for row in rows):
        return []
    return [
        f"Every parameter is fitted on training interactions, but for {OURS}: its fifth component "
        "then learns from each user's validation item. The other methods read that item as part "
        "of the history, if they read histories. Table IV has the rows without it."
    ]


def _tests(rows: list[Row]) -> str:
    made = sum(len(row.tests) for row in rows)
    if not made:
        return "No test was made: that takes two methods with a run on the same data."
    return (
        f"*: differs from the best baseline of its column (last row; {OURS} is no baseline), "
        f"p < {LEVEL:g}: paired t test over users, Holm-adjusted over the {made} comparisons of "
        "this table. The differences, intervals and randomization tests are in comparisons.csv. "
        "The best baseline is found on the same users, so a mark on a baseline that is close to it "
        f"is given more often than the level says; {OURS}'s lead is only understated by that."
    )


def _detectable(sections: list[AccuracySection]) -> list[str]:
    found = []
    for section in sections:
        ranges = []
        for metric, name in (("hit@10", "HR@10"), ("ndcg@10", "NDCG@10")):
            column = ("full", metric)
            sizes = [row.tests[column].smallest_detectable for row in section.rows
                     if column in row.tests]  # fmt: skip
            if sizes:
                ends = sorted({f"{min(sizes):.3f}", f"{max(sizes):.3f}"})
                ranges.append(f"{' to '.join(ends)} in {name}")
        if ranges:
            found.append(
                f"{section.dataset}, {section.protocol}: with {section.users} users one test at "
                f"the {100 * LEVEL:g} % level finds a full-ranking difference of "
                f"{' and '.join(ranges)}, by method, with 80 % power; smaller ones may go "
                "unnoticed."
            )
    return found


# Table I: accuracy, the paper's number and ours side by side, full and sampled ranking.


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
    values = row_key(section, row) | {
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
