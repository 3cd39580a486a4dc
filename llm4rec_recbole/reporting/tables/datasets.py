"""Table I over data sets: two columns for each data set that methods have run on.

`make repro` runs the data sets of params.yaml. Runs on other data sets are in
<other_results>/<data set>/runs. The table shows numbers of run records, and the gain of
EnhancedGenRec over each method, pooled over the data sets (analysis/pooling.py). It has no
tests of single data sets: the tables in those folders have them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole.analysis.compare import METRICS
from llm4rec_recbole.analysis.paper.paper_tables import (
    DETERMINISTIC,
    METRIC_NAMES,
    NOT_SEARCHED,
    OURS,
    group_of,
    row_label,
    table_methods,
)
from llm4rec_recbole.analysis.pooling import (
    BEST_BASELINE,
    BEST_NULL,
    ROPE,
    Gains,
    gain_text,
    gains,
    percent,
    signed_rank_probabilities,
)
from llm4rec_recbole.analysis.significance import LEVEL
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.record_reader import Record, Runs, Setting, by_method, read_records
from llm4rec_recbole.files import properties_folder
from llm4rec_recbole.reporting.tables import render
from llm4rec_recbole.reporting.tables.rows import group_starts, size_of
from llm4rec_recbole.yaml_files import read_yaml

NAME = "table_1_data_sets"
ANSWER = "answer_data_sets"
PROTOCOL = "loo"


def result_folders(results: Path, other_results: Path) -> list[Path]:
    """`results`, then the folders in `other_results`, by name."""
    return [results, *sorted(path for path in other_results.glob("*") if path.is_dir())]


def read(results: Path, other_results: Path) -> dict[Setting, tuple[Path, Runs]]:
    """The folder and all runs of each data set and protocol, methods by name.

    `results` comes first. Another folder counts for the data set that it is named after. Raises
    InputError for a bad record.
    """
    settings: dict[Setting, tuple[Path, Runs]] = {}
    for folder in result_folders(results, other_results):
        records = read_records(folder)
        if folder != results:
            records = [record for record in records if record.dataset == folder.name]
        methods = sorted({record.method for record in records})
        for setting, runs in by_method(records, methods).items():
            settings.setdefault(setting, (folder, runs))
    return settings


def table_runs(settings: Mapping[Setting, tuple[Path, Runs]]) -> dict[str, tuple[Path, Runs]]:
    """Of each data set the runs of Table I, in its order, and their folder."""
    runs = {
        dataset: setting_runs
        for (dataset, protocol), setting_runs in settings.items()
        if protocol == PROTOCOL
    }
    methods = _methods(runs)
    chosen = {
        name: (
            folder,
            {method: setting_runs[method] for method in methods if method in setting_runs},
        )
        for name, (folder, setting_runs) in runs.items()
    }
    return {name: setting_runs for name, setting_runs in chosen.items() if setting_runs[1]}


def _methods(datasets: Mapping[str, tuple[Path, Runs]]) -> tuple[str, ...]:
    return table_methods({method for _, runs in datasets.values() for method in runs})


def build(datasets: dict[str, tuple[Path, Runs]]) -> render.Table:
    """The table for people."""
    methods = _methods(datasets)
    records = {
        m: method_runs[m] for _, method_runs in reversed([*datasets.values()]) for m in method_runs
    }
    columns = [("", "Method")]
    labels = [row_label(m, size_of(m, records.get(m, ()))) for m in methods]
    cells = [[render.Cell(label) for label in labels]]
    pooled = {(g.over, g.metric): g for g in gains_of(datasets)}
    for dataset, (_, runs) in datasets.items():
        for metric in METRICS:
            columns.append((dataset, METRIC_NAMES[metric]))
            cells.append(
                render.column([render.seeds_text(_values(runs, m, metric), 3) for m in methods])
            )
    for metric in METRICS:
        columns.append(("Ours over the row, pooled", METRIC_NAMES[metric]))
        cells.append([_pooled_cell(pooled.get((method, metric))) for method in methods])
    rows = [*map(list, zip(*cells))]
    groups = [group_of(method) for method in methods]
    starts = group_starts(groups)
    starts[len(rows)] = f"Gain of {OURS}"
    rows += [_gain_row(over, [*datasets], pooled) for over in (BEST_BASELINE, BEST_NULL)]
    heading = f"Ranked among all items, protocol {PROTOCOL}"
    title = "Accuracy on every data set that we have run"
    sections = [render.Section(heading, rows, groups=starts)]
    notes = [*_notes(datasets), *_pooled_notes([*pooled.values()])]
    return render.Table("Table I", "tab:data-sets", title, columns, sections, notes)


def gains_of(datasets: dict[str, tuple[Path, Runs]]) -> list[Gains]:
    """The gains of EnhancedGenRec on each data set, and pooled."""
    return gains({name: runs_of for name, (_, runs_of) in datasets.items()}, METRICS)


def answer(datasets: dict[str, tuple[Path, Runs]]) -> list[str]:
    """A sentence on the gains of NDCG@10 over the best baselines, and one over the best nulls.

    [] with fewer than two data sets to pool.
    """
    return [
        _answer(gain, datasets)
        for gain in gains_of(datasets)
        if gain.over in (BEST_BASELINE, BEST_NULL) and gain.metric == "ndcg@10" and gain.pooled
    ]


def _answer(gain: Gains, datasets: dict[str, tuple[Path, Runs]]) -> str:
    """The gain on each data set and its seeds, and the pooled gain."""
    parts = []
    for dataset, (ratio, _) in gain.log_ratios.items():
        seeds = len(datasets[dataset][1][OURS])
        runs = f"{seeds} seeds" if seeds > 1 else "one seed"
        parts.append(f"{dataset} {percent(ratio)} % ({gain.compared_with[dataset]}; {runs})")
    p = gain.pooled
    assert p is not None
    return (
        f"Gain in test {METRIC_NAMES[gain.metric]} over {gain.over}, chosen on validation: "
        f"{', '.join(parts)}. "
        f"Pooled: {gain_text(p.effect, p.low, p.high)}, p {p.p:.2g}."
    )


def _pooled_cell(gain: Gains | None) -> render.Cell:
    """The pooled gain with its interval, marked where it differs from 0."""
    if gain is None or gain.pooled is None:
        return render.Cell(render.NONE)
    p = gain.pooled
    return render.Cell(gain_text(p.effect, p.low, p.high), marked=p.p < LEVEL)


def _gain_row(
    over: str, datasets: Sequence[str], pooled: dict[tuple[str, str], Gains]
) -> list[render.Cell]:
    cells = [render.Cell(f"over {over}")]
    for dataset in datasets:
        for metric in METRICS:
            ratio = pooled[over, metric].log_ratios.get(dataset)
            cells.append(render.Cell(render.NONE if ratio is None else f"{percent(ratio[0])} %"))
    return [*cells, *(_pooled_cell(pooled[over, metric]) for metric in METRICS)]


def _pooled_notes(pooled: Sequence[Gains]) -> list[str]:
    """What the pooled gains are, and how much they differ between data sets."""
    pooled_gains = [gain for gain in pooled if gain.pooled is not None]
    if not pooled_gains:
        return [f"Pooled: two data sets with users files of {OURS} and the row are needed."]
    sentences = [
        "Pooled: random-effects meta-analysis (REML, Knapp and Hartung) of the log-ratios of the "
        f"data sets with users files of both methods, users and seeds random. *: p < {LEVEL:g}, "
        "one test."
    ]
    for gain in pooled_gains:
        p = gain.pooled
        if gain.over not in (BEST_BASELINE, BEST_NULL) or p is None:
            continue
        names = ", ".join(f"{name}: {method}" for name, method in gain.compared_with.items())
        ratios = np.array([ratio for ratio, _ in gain.log_ratios.values()])
        worse, equal, better = signed_rank_probabilities(ratios)
        sentences.append(
            f"{METRIC_NAMES[gain.metric]} over {gain.over} on validation ({names}). On a new data "
            f"set the gain is expected in [{percent(p.predicted_low)}, "
            f"{percent(p.predicted_high)}] % (95 % prediction interval). {100 * p.i2:.0f} % of "
            f"the variance is between the {p.studies} data sets. {OURS} is better by more than "
            f"{100 * ROPE:g} % with probability {better:.2f}, within {100 * ROPE:g} % with "
            f"{equal:.2f}, and worse with {worse:.2f} (Bayesian signed-rank test)."
        )
    return sentences


def to_csv(datasets: dict[str, tuple[Path, Runs]]) -> str:
    """The table for programs: a line for each data set and method with a run."""
    names = [f"{metric}{end}" for metric in METRICS for end in ("", "_sd")]
    lines = []
    for dataset, (folder, runs) in datasets.items():
        for method, records in runs.items():
            values = [v for m in METRICS for v in render.over_seeds(_values(runs, method, m))]
            texts = ["" if value is None else f"{value:.6f}" for value in values]
            lines.append([dataset, PROTOCOL, method, *texts, len(records), _relative(folder)])
    return render.csv_text(["dataset", "protocol", "method", *names, "seeds", "folder"], lines)


def _relative(folder: Path) -> str:
    """The path from the working folder, if it lies there: a table names no path of one machine."""
    working_folder = Path.cwd()
    inside = folder.resolve().is_relative_to(working_folder)
    return (folder.resolve().relative_to(working_folder) if inside else folder).as_posix()


def _values(runs: Runs, method: str, metric: str) -> list[float]:
    """The full-ranking metric of each seed."""
    return [record.accuracy["full", metric] for record in runs.get(method, ())]


def _notes(datasets: dict[str, tuple[Path, Runs]]) -> list[str]:
    with_seeds = [
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
        f"Mean ± standard deviation over seeds: {'; '.join(with_seeds)}; else one seed. "
        f"{deterministic}."
        if with_seeds
        else f"One seed each; {deterministic}.",
        f"{' and '.join(NOT_SEARCHED)} are smaller than the paper's, as their rows say.",
        "How much a method was tuned differs by data set.",
        "Best of a column bold, second best underlined, as rounded here. –: not run.",
    ]


# The options chosen on other data sets, properties/experiment/<data set>/<model>.yaml, beside the
# metrics of their runs.

EXPERIMENTS = "experiments"
NOT_SHOWN = ("num_threads",)  # decides the speed, not the result
_TRIALS = re.compile(r"^# Validation trials: (\d+|unknown)\.", re.MULTILINE)


def build_experiments(other_results: Path, folder: Path | None = None) -> render.Table:
    """A section for each data set, a row for each file of options.

    Raises InputError for a file without its number of trials, and for a bad record.
    """
    folder = folder or properties_folder() / "experiment"
    sections = []
    for dataset in sorted(path for path in folder.iterdir() if path.is_dir()):
        records: dict[str, Record] = {}  # method → the record of its first seed
        for record in sorted(read_records(other_results / dataset.name), key=lambda r: r.seed):
            if record.protocol == "loo" and record.dataset == dataset.name:
                records.setdefault(record.method, record)
        rows = [
            _experiment(file, records.get(file.stem)) for file in sorted(dataset.glob("*.yaml"))
        ]
        sections.append(render.Section(dataset.name, rows))
    title = "Options chosen on validation, by data set"
    names = ("Method", "Options", "Trials", "Valid NDCG@10", "Test NDCG@10")
    notes = ["Full ranking, protocol loo, first seed. –: no run in git."]
    columns = [("", name) for name in names]
    return render.Table("Options", "tab:experiments", title, columns, sections, notes, text=True)


def _experiment(file: Path, record: Record | None) -> list[render.Cell]:
    trials = _TRIALS.search(file.read_text(encoding="utf-8"))
    if trials is None:
        raise InputError("no line `# Validation trials: N.` in the header", file=file)
    options: dict[str, Any] = read_yaml(file).values
    listed = ", ".join(
        f"{name} {value}" for name, value in options.items() if name not in NOT_SHOWN
    )
    scores: tuple[float | None, ...] = (None, None)
    if record is not None:
        scores = record.valid_ndcg, record.accuracy["full", "ndcg@10"]
    values = [render.number(score, 4) or render.NONE for score in scores]
    return [render.Cell(text) for text in (file.stem, listed, trials[1], *values)]
