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
from llm4rec_recbole.reporting.figures.plots import curves, forest, pooled_forest, rankings
from llm4rec_recbole.reporting.inputs import ReportInputs
from llm4rec_recbole.reporting.page.model_outputs import faithfulness, recommendations, replay
from llm4rec_recbole.reporting.page.render import figures, render, table
from llm4rec_recbole.reporting.page.runs import entries_of, leaderboard, provenance
from llm4rec_recbole.reporting.summary import does_it_hold, ladder_sentences, summary
from llm4rec_recbole.reporting.tables import accuracy, claims
from llm4rec_recbole.reporting.tables.datasets import answer, build, gains_of, table_runs
from llm4rec_recbole.reporting.tables.rows import AccuracySection, Row

if TYPE_CHECKING:
    import pandas as pd

Datasets = Mapping[Setting, tuple[Path, Runs]]
METRICS = {metric: METRIC_NAMES[metric] for metric in ("ndcg@10", "hit@10")}
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
            *(("all data sets", line) for line in answer(table_runs(datasets))),
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
    runs = table_runs(datasets)
    curves = _each(training, report.sections)
    few_table = Markup("<p>There are no counts of training interactions.</p>")
    if counts is not None:
        few_table = table(accuracy.build_few_interactions(runs, counts))
    return [
        ("leaderboard", "Leaderboard: all data sets and seeds",
         leaderboard(entries_of(datasets), page_folder)),
        ("pooled", "All data sets together (meta-analysis)",
         pooled(gains_of(runs)) + table(build(runs))),
        ("claims", "The paper's claims", claims_ledger(report.claims)),
        ("power", "How many users a claim needs", _power(report, datasets)),
        ("accuracy", "Accuracy (Table I)",
         tables["table_1"] + _each(differences, report.sections)),
        ("few", "Users and items with few interactions", few_table),
        ("protocols", "What sampled ranking hides",
         _each(protocols, report.sections)),
        ("diversity", "Diversity and fairness (Table II)",
         tables["table_2"]),
        ("cost", "Cost (Table III)",
         tables["table_3"]),
        ("ablation", "What each component adds (Tables IV and V)",
         tables["table_4"] + tables["table_5"]),
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
    pilots = [pilot for pilot in pilots_of(records) if pilot.general]
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


def training(section: AccuracySection) -> Markup:
    """Validation over the epochs; "" where no record holds it. One seed of each method."""
    runs = {row.method: row.records[0].history for row in _ran(section)}
    title = f"Validation NDCG@10, {section.setting}"
    drawn = [curves("curves", title, "NDCG@10", runs)]
    return figures(
        drawn,
        "Full ranking of the validation items after each epoch, first seed of each method. A thin "
        "line leads from the end of a run to its name. The mark is the best epoch, whose weights "
        "are tested. Runs that were validated once are left out.",
        section.setting,
    )


def _ran(section: AccuracySection) -> list[Row]:
    """The rows that figures show. Nulls stand in the tables: their names would overlap."""
    return [row for row in section.rows if row.records and row.group != NULL]


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
