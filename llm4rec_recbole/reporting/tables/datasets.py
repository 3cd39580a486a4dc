"""Table I over data sets: two columns for each data set that methods have run on.

`make repro` runs the data sets of params.yaml. Runs on other data sets are in
<other_results>/<data set>/runs. The table shows numbers of run records, and the gain of
EnhancedGenRec over each method, pooled over the data sets (analysis/pooled_gains.py). It has no
tests of single data sets: the tables in those folders have them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from llm4rec_recbole.analysis.compare import METRICS
from llm4rec_recbole.analysis.paired_tests import LEVEL
from llm4rec_recbole.analysis.paper.paper_methods import (
    DETERMINISTIC,
    METRIC_NAMES,
    NOT_SEARCHED,
    OURS,
    further_methods,
    group_of,
    row_label,
    table_methods,
)
from llm4rec_recbole.analysis.pooled_gains import BEST_BASELINE, BEST_NULL, Gains, gains
from llm4rec_recbole.evaluation.records import Record, by_method, read_records
from llm4rec_recbole.reporting.tables.record_tables import over_seeds
from llm4rec_recbole.reporting.tables.render import NONE, Cell, Section, Table, column, number
from llm4rec_recbole.reporting.tables.rows import size_of

NAME = "table_1_data_sets"
PROTOCOL = "loo"
Runs = dict[str, list[Record]]  # method -> its seeds


def read(
    results: Path, other_results: Path, recbole_row: str = "BPR"
) -> dict[str, tuple[Path, Runs]]:
    """The runs on each data set and their folder; `results` comes before `other_results`.

    Raises InputError for a bad record.
    """
    datasets: dict[str, tuple[Path, Runs]] = {}
    others = sorted(path for path in other_results.glob("*") if path.is_dir())
    for folder in (results, *others):
        records = read_records(folder)
        further = further_methods({record.method for record in records}, recbole_row)
        grouped = by_method(records, table_methods(recbole_row, further))
        for (dataset, protocol), runs in grouped.items():
            is_its_own = folder == results or folder.name == dataset
            if protocol == PROTOCOL and is_its_own and dataset not in datasets:
                datasets[dataset] = (folder, runs)
    return datasets


def build(datasets: dict[str, tuple[Path, Runs]], recbole_row: str = "BPR") -> Table:
    """The table for people."""
    recorded = {method for _, runs in datasets.values() for method in runs}
    methods = table_methods(recbole_row, further_methods(recorded, recbole_row))
    records = {m: its[m] for _, its in reversed([*datasets.values()]) for m in its}
    columns = [("", "Method")]
    labels = [row_label(m, recbole_row, size_of(m, records.get(m, ()))) for m in methods]
    cells = [[Cell(label) for label in labels]]
    pooled = {(g.over, g.metric): g for g in _gains(datasets, recbole_row)}
    for dataset, (_, runs) in datasets.items():
        for metric in METRICS:
            columns.append((dataset, METRIC_NAMES[metric]))
            cells.append(column([number(*_shown(runs, m, metric)) for m in methods]))
    for metric in METRICS:
        columns.append(("Ours over the row, pooled", METRIC_NAMES[metric]))
        cells.append([_pooled_cell(pooled.get((method, metric))) for method in methods])
    rows = [*map(list, zip(*cells))]
    groups = [group_of(method, recbole_row) for method in methods]
    starts = {n: group for n, group in enumerate(groups) if groups.index(group) == n}
    starts[len(rows)] = f"Gain of {OURS} over"
    rows += [_gain_row(over, [*datasets], pooled) for over in (BEST_BASELINE, BEST_NULL)]
    heading = f"Ranked among all items, protocol {PROTOCOL}"
    return Table(
        name="Table I",
        label="tab:data-sets",
        title="Accuracy on every data set that we have run",
        columns=columns,
        sections=[Section(heading, rows, groups=starts)],
        notes=[*_notes(datasets), *_pooled_notes([*pooled.values()])],
    )


def _gains(datasets: dict[str, tuple[Path, Runs]], recbole_row: str) -> list[Gains]:
    runs = {name: its for name, (_, its) in datasets.items()}
    return gains(runs, METRICS, recbole_row)


def _percent(log_ratio: float) -> str:
    """A log-ratio as a gain in per cent; a gain above 1,000 % has no number."""
    return f"{100 * np.expm1(log_ratio):+.1f}" if log_ratio < np.log(11) else "> +1000"


def _pooled_cell(its: Gains | None) -> Cell:
    """The pooled gain with its interval, marked where it differs from 0."""
    if its is None or its.pooled is None:
        return Cell(NONE)
    p = its.pooled
    text = f"{_percent(p.effect)} % [{_percent(p.low)}, {_percent(p.high)}]"
    return Cell(text, marked=p.p < LEVEL)


def _gain_row(
    over: str, datasets: Sequence[str], pooled: dict[tuple[str, str], Gains]
) -> list[Cell]:
    cells = [Cell(over)]
    for dataset in datasets:
        for metric in METRICS:
            ratio = pooled[over, metric].log_ratios.get(dataset)
            cells.append(Cell(NONE if ratio is None else f"{_percent(ratio[0])} %"))
    return [*cells, *(_pooled_cell(pooled[over, metric]) for metric in METRICS)]


def _pooled_notes(pooled: Sequence[Gains]) -> list[str]:
    """What the pooled gains are, and how much they differ between data sets."""
    made = [its for its in pooled if its.pooled is not None]
    if not made:
        return [f"Pooled: two data sets with users files of {OURS} and the row are needed."]
    sentences = [
        "Pooled: random-effects meta-analysis (REML, Knapp and Hartung) of the log-ratios of the "
        f"data sets with users files of both methods, users and seeds random. *: p < {LEVEL:g}, "
        "one test."
    ]
    for its in made:
        p = its.pooled
        if its.over not in (BEST_BASELINE, BEST_NULL) or p is None:
            continue
        names = ", ".join(f"{name}: {method}" for name, method in its.compared_with.items())
        sentences.append(
            f"{METRIC_NAMES[its.metric]} over {its.over} on validation ({names}): on a new data "
            f"set the gain is expected in [{_percent(p.predicted_low)}, "
            f"{_percent(p.predicted_high)}] % (95 % prediction interval); {100 * p.i2:.0f} % of "
            f"the variance is between the {p.studies} data sets."
        )
    return sentences


def to_csv(datasets: dict[str, tuple[Path, Runs]]) -> str:
    """The table for programs: a line for each data set and method with a run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"{metric}{end}" for metric in METRICS for end in ("", "_sd")]
    writer.writerow(["dataset", "protocol", "method", *names, "seeds", "folder"])
    for dataset, (folder, runs) in datasets.items():
        for method, records in runs.items():
            values = [v for metric in METRICS for v in _over_seeds(runs, method, metric)]
            shown = ["" if value is None else f"{value:.6f}" for value in values]
            writer.writerow([dataset, PROTOCOL, method, *shown, len(records), _relative(folder)])
    return text.getvalue()


def _relative(folder: Path) -> str:
    """The path from the working folder, if it lies there: a table names no path of one machine."""
    here = Path.cwd()
    inside = folder.resolve().is_relative_to(here)
    return (folder.resolve().relative_to(here) if inside else folder).as_posix()


def _over_seeds(runs: Runs, method: str, metric: str) -> tuple[float | None, float | None]:
    """Mean and standard deviation over the seeds of a full-ranking metric; None without a run."""
    return over_seeds([record.accuracy["full", metric] for record in runs.get(method, ())])


def _shown(runs: Runs, method: str, metric: str) -> tuple[float | None, int, float | None]:
    mean, deviation = _over_seeds(runs, method, metric)
    return mean, 3, deviation


def _notes(datasets: dict[str, tuple[Path, Runs]]) -> list[str]:
    several = [
        f"{method} on {dataset}: {len(records)}"
        for dataset, (_, runs) in datasets.items()
        for method, records in runs.items()
        if len(records) > 1
    ]
    folders = [f"{dataset}: {_relative(folder)}" for dataset, (folder, _) in datasets.items()]
    deterministic = f"{', '.join(DETERMINISTIC)} are deterministic"
    return [
        f"From the run records of {'; '.join(folders)}. The tables there have the tests and the "
        "sampled rankings. `llm4rec pair` tests any two methods whose users' ranks git has.",
        f"Mean ± standard deviation over seeds: {'; '.join(several)}; else one seed. "
        f"{deterministic}."
        if several
        else f"One seed each; {deterministic}.",
        f"{' and '.join(NOT_SEARCHED)} are smaller than the paper's, as their rows say.",
        "How much a method was tuned differs by data set.",
        "Best of a column bold, second best underlined, as rounded here. –: not run.",
    ]
