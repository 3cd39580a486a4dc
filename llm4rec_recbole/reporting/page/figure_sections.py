"""Which figures stand in the page, and with which captions: from what was read to drawings."""

from __future__ import annotations

from markupsafe import Markup

from llm4rec_recbole.analysis.paper.paper_methods import METRIC_NAMES, NULL
from llm4rec_recbole.reporting.figures.accuracy_plots import Point, curves, rankings, scatter
from llm4rec_recbole.reporting.figures.differences import (
    forest,
    measured_steps,
    printed_steps,
    waterfall,
)
from llm4rec_recbole.reporting.figures.svg import Figure
from llm4rec_recbole.reporting.page.render import figures
from llm4rec_recbole.reporting.tables.ablation import Ablation
from llm4rec_recbole.reporting.tables.record_tables import mean_over_seeds
from llm4rec_recbole.reporting.tables.rows import AccuracySection, Row

METRICS = {metric: METRIC_NAMES[metric] for metric in ("ndcg@10", "hit@10")}
NDCG = ("full", "ndcg@10")


def differences(section: AccuracySection) -> Markup:
    """Forest plots of Table I, full ranking."""
    drawn = []
    for metric, name in METRICS.items():
        tests = [r.tests["full", metric] for r in section.rows if ("full", metric) in r.tests]
        claims = [test for test in tests if test.table == "table_1"]
        if claims:
            drawn.append(forest(metric, name, section.setting, claims))
    return figures(
        drawn,
        "EnhancedGenRec minus each of the paper's baselines and the best reference, full ranking, "
        "with the 95 % bootstrap interval over users. Filled: Holm's p below 0.05. Hollow: may be "
        "chance. Pale: differences too small to be detected with so many users (80 % power). "
        "Disc: the paper's baselines. Square: reference.",
        section.setting,
    )


def protocols(section: AccuracySection) -> Markup:
    """The same runs in three rankings."""
    drawn = [rankings(metric, section, metric, name) for metric, name in METRICS.items()]
    return figures(
        drawn,
        "The same lists of the same runs, scored three ways. The fewer items the held-out one has "
        "to beat, the higher the score; where lines cross, the order of the methods changes too. "
        "The band is what the paper prints, whose protocol is not named.",
        section.setting,
    )


def cost(section: AccuracySection) -> Markup:
    """Accuracy against what it cost."""
    drawn = [
        scatter(key, f"NDCG@10 against {quantity}", name, "NDCG@10", _costs(section, key), log=True)
        for key, quantity, name in (
            ("train_seconds", "training time", "training, s"),
            ("inference_ms_per_user", "inference time", "inference, ms a user"),
        )
    ]
    return figures(
        drawn, "Full ranking; further up and to the left is better. Logarithmic time.",
        section.setting,
    )  # fmt: skip


def fairness(section: AccuracySection) -> Markup:
    """Accuracy against fairness."""
    points = [
        Point(row.method, value, row.ours[NDCG])
        for row in _ran(section)
        if (value := mean_over_seeds([r.beyond_accuracy["fairness@10"] for r in row.records]))
        is not None
    ]
    drawn = [scatter("fairness", "NDCG@10 against fairness", "fairness@10", "NDCG@10", points)]
    return figures(drawn, "Full ranking; further up and to the right is better.", section.setting)


def ablation(made: Ablation) -> Markup:
    """The paper's ablation and ours."""
    section, column = made.table_4, NDCG
    drawn: list[Figure] = []
    if steps := printed_steps(section.rows, "ndcg@10"):
        drawn.append(waterfall("printed", "The paper, as printed", "NDCG@10", steps, "paper"))
    steps = measured_steps(section.rows, column)
    if any(step.value is not None for step in steps):
        title = f"Ours, {section.setting}"
        drawn.append(waterfall("measured", title, "NDCG@10", steps, "ours"))
        ours = "the lines are 95 % intervals of ours; the paper gives none."
    else:
        ours = "the paper gives no intervals. Ours has not been run."
    caption = f"Each bar goes from the row above to this row, the last from the first row; {ours}"
    return figures(drawn, caption, section.setting)


def training(section: AccuracySection) -> Markup:
    """Validation over the epochs; "" where no record holds it. One seed of each method."""
    runs = {row.method: row.records[0].history for row in _ran(section)}
    title = f"Validation NDCG@10, {section.setting}"
    drawn = [curves("curves", title, "NDCG@10", runs)]
    return figures(
        drawn,
        "Full ranking of the validation items after each epoch, first seed of each method; a thin "
        "line leads from where a run ends to its name. The mark is the best epoch, whose weights "
        "are tested; a mark without a line: validated once.",
        section.setting,
    )


def _ran(section: AccuracySection) -> list[Row]:
    """The rows that figures show. Nulls stand in the tables: their names would overlap."""
    return [row for row in section.rows if row.records and row.group != NULL]


def _costs(section: AccuracySection, key: str) -> list[Point]:
    return [
        Point(row.method, value, row.ours[NDCG])
        for row in _ran(section)
        if (value := mean_over_seeds([record.cost[key] for record in row.records])) is not None
    ]
