"""results/report.html: tables, figures and claims in one file that loads nothing from elsewhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from llm4rec_recbole.analysis.claims import LedgerEntry
from llm4rec_recbole.analysis.paper.paper_tables import METRIC_NAMES, NULL
from llm4rec_recbole.analysis.pooling import BEST_BASELINE, BEST_NULL, Gains
from llm4rec_recbole.analysis.power import paper_gains, pilots_of
from llm4rec_recbole.evaluation.record_reader import Runs, Setting
from llm4rec_recbole.reporting.figures import svg
from llm4rec_recbole.reporting.figures.accuracy_plots import Point, curves, rankings, scatter
from llm4rec_recbole.reporting.figures.differences import (
    forest,
    measured_steps,
    pooled_forest,
    printed_steps,
    waterfall,
)
from llm4rec_recbole.reporting.figures.svg import Figure
from llm4rec_recbole.reporting.inputs import ReportInputs
from llm4rec_recbole.reporting.page.model_outputs import faithfulness, recommendations, replay
from llm4rec_recbole.reporting.page.render import figures, render, table
from llm4rec_recbole.reporting.page.runs import entries_of, leaderboard, provenance
from llm4rec_recbole.reporting.summary import does_it_hold, ladder_sentences, summary
from llm4rec_recbole.reporting.tables import accuracy, claims
from llm4rec_recbole.reporting.tables.ablation import Ablation
from llm4rec_recbole.reporting.tables.datasets import answer, build, gains_of, table_runs
from llm4rec_recbole.reporting.tables.render import over_seeds
from llm4rec_recbole.reporting.tables.rows import AccuracySection, Row

if TYPE_CHECKING:
    import pandas as pd

Datasets = Mapping[Setting, tuple[Path, Runs]]
METRICS = {metric: METRIC_NAMES[metric] for metric in ("ndcg@10", "hit@10")}
NDCG = ("full", "ndcg@10")
PAGE = Path(__file__).parent
TITLE = "LLM4Rec on RecBole: does the paper hold?"
LEAD = (
    "A replication of “LLM4Rec: Large Language Models for Multimodal Generative Recommendation "
    "with Causal Debiasing”. The paper came without code, seeds, variance or an evaluation "
    "protocol. Every number of ours comes from a run record in this repository. Every difference "
    "in a metric that each user has is tested on the same users."
)


def page(
    report: ReportInputs,
    results: Path,
    datasets: Datasets,
    page_folder: Path,
    counts: pd.DataFrame | None = None,
) -> str:
    """The whole page. Raises InputError for a bad file of a model's outputs.

    datasets: the runs on all data sets. page_folder: where the page will be, for its links. counts:
    as few_interactions.read_counts returns them.
    """
    short, sentence = does_it_hold(report.claims)
    style = (PAGE / "style.css").read_text(encoding="utf-8")
    style += svg.STYLE.read_text(encoding="utf-8")
    script = (PAGE / "script.js").read_text(encoding="utf-8")
    return render(
        "page.html",
        title=TITLE,
        answer=" ".join([f"{short}.", sentence]),
        lead=LEAD,
        style=Markup(style),
        script=Markup(script),
        summary=[
            *summary(report.sections),
            *ladder_sentences(report),
            *(("all data sets", line) for line in answer(table_runs(datasets), report.recbole_row)),
        ],
        verdicts=verdict_counts(report.claims),
        settings=[section.setting for section in report.sections],
        parts=_parts(report, results, datasets, page_folder, counts),
    )


def _parts(
    report: ReportInputs,
    results: Path,
    datasets: Datasets,
    page_folder: Path,
    counts: pd.DataFrame | None,
) -> list[tuple[str, str, Markup]]:
    """(id, heading, content) of each part."""
    tables = {name: table(table_data) for name, table_data, _ in report.tables()}
    runs = table_runs(datasets, report.recbole_row)
    curves = _each(training, report.sections)
    few_table = Markup("<p>There are no counts of training interactions.</p>")
    if counts is not None:
        few_table = table(accuracy.build_few_interactions(runs, counts, report.recbole_row))
    return [
        ("leaderboard", "Leaderboard: all data sets and seeds",
         leaderboard(entries_of(datasets), page_folder)),
        ("pooled", "All data sets together (meta-analysis)",
         pooled(gains_of(runs, report.recbole_row)) + table(build(runs, report.recbole_row))),
        ("claims", "The paper's claims", claims_ledger(report.claims)),
        ("power", "How many users a claim needs", _power(report, datasets)),
        ("accuracy", "Accuracy (Table I)",
         tables["table_1"] + _each(differences, report.sections)),
        ("few", "Users and items with few interactions", few_table),
        ("protocols", "What sampled ranking hides",
         _each(protocols, report.sections)),
        ("diversity", "Diversity and fairness (Table II)",
         tables["table_2"] + _each(fairness, report.sections)),
        ("cost", "Cost (Table III)",
         tables["table_3"] + _each(cost, report.sections)),
        ("ablation", "What each component adds (Tables IV and V)",
         tables["table_4"] + _each(ablation, report.ablations)
         + tables["table_5"]),
        ("training", "Training",
         curves or Markup("<p>No run record holds the validation scores of its epochs.</p>")),
        ("people", "Recommendations and their reasons", recommendations(results)),
        ("faithfulness", "Do the reasons cite what the model uses?", faithfulness(results)),
        ("learning", "Learning from each event", replay(results)),
        ("runs", "Every run", provenance(report.records, report.sections, page_folder)),
    ]  # fmt: skip


def _power(report: ReportInputs, datasets: Datasets) -> Markup:
    """The users that claims need, by the pilots that compare EnhancedGenRec with a baseline."""
    records = [
        r for _, runs in datasets.values() for method_runs in runs.values() for r in method_runs
    ]
    pilots = [pilot for pilot in pilots_of(records, report.recbole_row) if pilot.general]
    return table(claims.power_table(paper_gains(report.paper), pilots))


def _each(section: Callable[[Any], Markup], contents: Iterable[Any]) -> Markup:
    """The section of each data set and protocol."""
    return Markup("").join(map(section, contents))


# The figures and their captions.


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


def pooled(all_gains: Sequence[Gains]) -> Markup:
    """Forest plots of the gains over data sets; "" with fewer than two."""
    drawn = [
        pooled_forest(f"pooled-{n}", METRIC_NAMES[gains.metric], gains)
        for n, gains in enumerate(all_gains)
        if gains.over in (BEST_BASELINE, BEST_NULL)
    ]
    return figures(
        drawn,
        "The gain of EnhancedGenRec over the best of the paper's five baselines, and over the best "
        "reference or null, each the best on validation. Log of the ratio of two means over the "
        "same users, full ranking, with 95 % intervals, as gains on the right. Diamond: random "
        "effects over the data sets. Pale bar: 95 % prediction interval for a new data set, cut "
        "at the axis. Hollow: the interval contains 0.",
    )


def protocols(section: AccuracySection) -> Markup:
    """The same runs in three rankings."""
    drawn = [rankings(metric, section, metric, name) for metric, name in METRICS.items()]
    return figures(
        drawn,
        "The same lists of the same runs, scored three ways. The fewer items the held-out one has "
        "to beat, the higher the score. Where lines cross, the order of the methods changes too. "
        "The band is what the paper prints. It does not name its protocol.",
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
    points = _points(section, lambda record: record.beyond_accuracy["fairness@10"])
    drawn = [scatter("fairness", "NDCG@10 against fairness", "fairness@10", "NDCG@10", points)]
    return figures(drawn, "Full ranking; further up and to the right is better.", section.setting)


def ablation(tables: Ablation) -> Markup:
    """The paper's ablation and ours."""
    section, column = tables.table_4, NDCG
    drawn: list[Figure] = []
    if steps := printed_steps(section.rows, "ndcg@10"):
        drawn.append(waterfall("printed", "The paper, as printed", "NDCG@10", steps, "paper"))
    steps = measured_steps(section.rows, column)
    if any(step.value is not None for step in steps):
        title = f"Ours, {section.setting}"
        drawn.append(waterfall("measured", title, "NDCG@10", steps, "ours"))
        ours = "The lines are 95 % intervals of ours. The paper gives none."
    else:
        ours = "The paper gives no intervals. Ours has not been run."
    caption = f"Each bar goes from the row above to this row, the last from the first row. {ours}"
    return figures(drawn, caption, section.setting)


def training(section: AccuracySection) -> Markup:
    """Validation over the epochs; "" where no record holds it. One seed of each method."""
    runs = {row.method: row.records[0].history for row in _ran(section)}
    title = f"Validation NDCG@10, {section.setting}"
    drawn = [curves("curves", title, "NDCG@10", runs)]
    return figures(
        drawn,
        "Full ranking of the validation items after each epoch, first seed of each method. A thin "
        "line leads from the end of a run to its name. The mark is the best epoch, whose weights "
        "are tested. A mark without a line is a run that was validated once.",
        section.setting,
    )


def _ran(section: AccuracySection) -> list[Row]:
    """The rows that figures show. Nulls stand in the tables: their names would overlap."""
    return [row for row in section.rows if row.records and row.group != NULL]


def _costs(section: AccuracySection, key: str) -> list[Point]:
    return _points(section, lambda record: record.cost[key])


def _points(section: AccuracySection, number: Callable[[Any], float | None]) -> list[Point]:
    """NDCG@10 of each method against a number of its records, mean over the seeds."""
    return [
        Point(row.method, value, row.ours[NDCG])
        for row in _ran(section)
        if (value := over_seeds([*map(number, row.records)])[0]) is not None
    ]


# The claims: verdicts by place in the paper, each claim on demand.

#: The CSS class of each verdict.
CLASSES = {
    "supported": "yes",
    "above, but not by the printed size": "above",
    "no effect larger than x %": "no-effect",
    "contradicted by our data": "no",
    "contradicted by the paper itself": "contradicted",
    "consistent within rounding": "rounding",
    "undecidable even on the paper's own data": "open",
    "not decided here": "undecided",
    "not run": "not-run",
}


def verdict_counts(entries: list[LedgerEntry]) -> list[tuple[str, int, str]]:
    """(CSS class, number of claims, verdict) of every verdict, for buttons that filter."""
    number: Counter[str] = Counter(entry.verdict for entry in entries)
    return [(css, number[verdict], verdict) for verdict, css in CLASSES.items()]


def claims_ledger(entries: list[LedgerEntry]) -> Markup:
    """A table of verdicts by place in the paper, then each place's claims, folded."""
    by_place: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        by_place.setdefault(entry.claim.where, []).append(entry)
    verdicts = [(css, verdict) for css, number, verdict in verdict_counts(entries) if number]
    parts = [
        {
            "name": name,
            "id": "claims-" + re.sub(r"\W+", "-", name).strip("-").lower(),
            "counts": [
                sum(entry.verdict == verdict for entry in place_entries) for _, verdict in verdicts
            ],
            "claims": [_claim(entry) for entry in place_entries],
        }
        for name, place_entries in by_place.items()
    ]
    columns = [("", name) for name in claims.COLUMNS[1:]]
    return render(
        "claims.html", parts=parts, verdicts=verdicts, columns=columns, notes=claims.NOTES
    )


def _claim(entry: LedgerEntry) -> dict[str, Any]:
    _, says, *texts = claims.row_texts(entry)
    measurements = [f"{m.where}: {m.text}" for m in entry.measured]
    cells = [
        (name, text, measurements if name == claims.OURS_COLUMN else [])
        for name, text in zip(claims.COLUMNS[2:], texts)
    ]
    return {"css": CLASSES[entry.verdict], "says": says, "cells": cells}
