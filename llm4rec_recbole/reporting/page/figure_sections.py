"""Which figures stand in the page, and with which captions: from what was read to drawings."""

from __future__ import annotations

import numpy as np

from llm4rec_recbole.reporting.figures.curves import curves
from llm4rec_recbole.reporting.figures.forest import forest
from llm4rec_recbole.reporting.figures.rankings import rankings
from llm4rec_recbole.reporting.figures.scatter import Point, scatter
from llm4rec_recbole.reporting.figures.svg import Figure
from llm4rec_recbole.reporting.figures.waterfall import measured_steps, printed_steps, waterfall
from llm4rec_recbole.reporting.page.html import figures
from llm4rec_recbole.reporting.tables.ablation_rows import Ablation
from llm4rec_recbole.reporting.tables.rows import AccuracySection, Row

METRICS = {"ndcg@10": "NDCG@10", "hit@10": "HR@10"}
NDCG = ("full", "ndcg@10")


def differences(section: AccuracySection) -> str:
    """Forest plots of Table I, full ranking."""
    drawn = []
    for metric, shown in METRICS.items():
        tests = [r.tests["full", metric] for r in section.rows if ("full", metric) in r.tests]
        if tests:
            best = section.baselines["full", metric]
            mean = next(r.ours["full", metric] for r in section.rows if r.method == best)
            drawn.append(forest(metric, shown, section.place, tests, mean))
    return figures(
        drawn,
        "Difference from the best baseline, full ranking, with the 95 % bootstrap interval over "
        "users. Filled: Holm's p below 0.05. Hollow: may be chance. Pale: what so many users could "
        "not tell from nothing (80 % power). Diamond: ours. Disc: the paper's baselines. Square: "
        "references.",
        section.place,
    )


def protocols(section: AccuracySection) -> str:
    """The same runs in three rankings."""
    drawn = [rankings(metric, section, metric, shown) for metric, shown in METRICS.items()]
    return figures(
        drawn,
        "The same lists of the same runs, scored three ways. The fewer items the held-out one has "
        "to beat, the higher the score; where lines cross, the order of the methods changes too. "
        "The band is what the paper prints, whose protocol is not named.",
        section.place,
    )


def cost(section: AccuracySection) -> str:
    """Accuracy against what it cost."""
    drawn = [
        scatter(key, f"NDCG@10 against {said}", name, "NDCG@10", _costs(section, key), log=True)
        for key, said, name in (
            ("train_seconds", "training time", "training, s"),
            ("inference_ms_per_user", "inference time", "inference, ms a user"),
        )
    ]
    return figures(
        drawn, "Full ranking; further up and to the left is better. Logarithmic time.",
        section.place,
    )  # fmt: skip


def fairness(section: AccuracySection) -> str:
    """Accuracy against fairness."""
    points = [
        Point(row.method, value, row.ours[NDCG])
        for row in _ran(section)
        if (value := _mean([r.beyond_accuracy["fairness@10"] for r in row.records])) is not None
    ]
    drawn = [scatter("fairness", "NDCG@10 against fairness", "fairness@10", "NDCG@10", points)]
    return figures(drawn, "Full ranking; further up and to the right is better.", section.place)


def ablation(made: Ablation) -> str:
    """The paper's ablation and ours."""
    section, column = made.table_4, NDCG
    drawn: list[Figure] = []
    if steps := printed_steps(section.rows, "ndcg@10"):
        drawn.append(waterfall("printed", "The paper, as printed", "NDCG@10", steps, "paper"))
    steps = measured_steps(section.rows, column)
    if any(step.value is not None for step in steps):
        title = f"Ours, {section.place}"
        drawn.append(waterfall("measured", title, "NDCG@10", steps, "ours"))
        ours = "the lines are 95 % intervals of ours; the paper gives none."
    else:
        ours = "the paper gives no intervals. Ours has not been run."
    said = f"Each bar goes from the row above to this row, the last from the first row; {ours}"
    return figures(drawn, said, section.place)


def training(section: AccuracySection) -> str:
    """Validation over the epochs; "" where no record holds it. One seed of each method."""
    runs = {row.method: row.records[0].history for row in _ran(section)}
    title = f"Validation NDCG@10, {section.place}"
    drawn = [curves("curves", title, "NDCG@10", runs)]
    return figures(
        drawn,
        "Full ranking of the validation items after each epoch, first seed of each method; a thin "
        "line leads from where a run ends to its name. The mark is the best epoch, whose weights "
        "are tested; a mark without a line: validated once.",
        section.place,
    )


def _ran(section: AccuracySection) -> list[Row]:
    return [row for row in section.rows if row.records]


def _costs(section: AccuracySection, key: str) -> list[Point]:
    return [
        Point(row.method, value, row.ours[NDCG])
        for row in _ran(section)
        if (value := _mean([record.cost[key] for record in row.records])) is not None
    ]


def _mean(values: list[float | None]) -> float | None:
    """Mean over the seeds; None where one of them lacks it, as in the tables."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None
