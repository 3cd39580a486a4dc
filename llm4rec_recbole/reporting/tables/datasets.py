"""Table I over data sets: two columns for each data set that methods have run on.

`make repro` runs the data sets of params.yaml. Runs on other data sets are in
<other_results>/<data set>/runs. The table shows numbers of run records. It has no tests:
the tables in those folders have them.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from llm4rec_recbole.analysis.compare import METRICS
from llm4rec_recbole.analysis.paper.paper_methods import (
    DETERMINISTIC,
    METRIC_NAMES,
    further_methods,
    row_label,
    table_methods,
)
from llm4rec_recbole.evaluation.records import Record, by_method, read_records
from llm4rec_recbole.reporting.tables.record_tables import mean_over_seeds
from llm4rec_recbole.reporting.tables.render import Cell, Section, Table, column, number

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
    columns = [("", "Method")]
    cells = [[Cell(row_label(method, recbole_row)) for method in methods]]
    for dataset, (_, runs) in datasets.items():
        for metric in METRICS:
            columns.append((dataset, METRIC_NAMES[metric]))
            cells.append(column([number(_mean(runs, m, metric), 3) for m in methods]))
    return Table(
        name="Table I",
        label="tab:data-sets",
        title="Accuracy on every data set that we have run",
        columns=columns,
        sections=[
            Section(f"Ranked among all items, protocol {PROTOCOL}", [*map(list, zip(*cells))])
        ],
        notes=_notes(datasets),
    )


def to_csv(datasets: dict[str, tuple[Path, Runs]]) -> str:
    """The table for programs: a line for each data set and method with a run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["dataset", "protocol", "method", *METRICS, "seeds", "folder"])
    for dataset, (folder, runs) in datasets.items():
        for method, records in runs.items():
            means = [number(_mean(runs, method, metric), 6) for metric in METRICS]
            writer.writerow([dataset, PROTOCOL, method, *means, len(records), _relative(folder)])
    return text.getvalue()


def _relative(folder: Path) -> str:
    """The path from the working folder, if it lies there: a table names no path of one machine."""
    here = Path.cwd()
    inside = folder.resolve().is_relative_to(here)
    return (folder.resolve().relative_to(here) if inside else folder).as_posix()


def _mean(runs: Runs, method: str, metric: str) -> float | None:
    """Mean over the seeds of a full-ranking metric; None without a run."""
    return mean_over_seeds([record.accuracy["full", metric] for record in runs.get(method, ())])


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
        f"Means over seeds: {'; '.join(several)}; else one seed. {deterministic}."
        if several
        else f"One seed each; {deterministic}.",
        "P5 and GenRec are smaller than the paper's: P5 has 0.4 M parameters and is trained from "
        "scratch, GenRec uses 2 of its language model's 30 layers.",
        "How much a method was tuned differs by data set.",
        "Best of a column bold, second best underlined, as rounded here. –: not run.",
    ]
