"""Table I over data sets: two columns for each one that methods have run on.

    python -m llm4rec_recbole.reporting.tables.datasets --results results --wider benchmarks/results

`make repro` runs the data sets of params.yaml; runs on others lie in <wider>/<data set>/runs, where
`python -m benchmarks.wider <data set>` puts them. This shows numbers of run records and tests
nothing; the tables in those folders do.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from llm4rec_recbole.analysis.paper.paper_methods import paper_rows, table_methods
from llm4rec_recbole.evaluation.records import Record, by_method, read_records
from llm4rec_recbole.reporting.tables.render import (
    Cell,
    Section,
    Table,
    column,
    number,
)

NAME = "table_1_data_sets"
PROTOCOL = "loo"
METRICS = {"hit@10": "HR@10", "ndcg@10": "NDCG@10"}
Runs = dict[str, list[Record]]  # method -> its seeds


def read(results: Path, wider: Path, recbole_row: str = "BPR") -> dict[str, tuple[Path, Runs]]:
    """Each data set's runs and the folder that they lie in; `results` comes before `wider`.

    Raises InputError for a bad record.
    """
    methods = table_methods(recbole_row)
    found: dict[str, tuple[Path, Runs]] = {}
    for folder in (results, *sorted(path for path in wider.glob("*") if path.is_dir())):
        for (dataset, protocol), runs in by_method(read_records(folder), methods).items():
            is_its_own = folder == results or folder.name == dataset
            if protocol == PROTOCOL and is_its_own and dataset not in found:
                found[dataset] = (folder, runs)
    return found


def build(found: dict[str, tuple[Path, Runs]], recbole_row: str = "BPR") -> Table:
    """The table for people."""
    labels = {method: label for label, method in paper_rows(recbole_row).items()}
    methods = table_methods(recbole_row)
    columns = [("", "Method")]
    cells = [[Cell(_label(method, labels.get(method, ""))) for method in methods]]
    for dataset, (_, runs) in found.items():
        for metric, name in METRICS.items():
            columns.append((dataset, name))
            cells.append(column([number(_mean(runs, m, metric), 3) for m in methods]))
    return Table(
        name="Table I",
        label="tab:data-sets",
        title="Accuracy on every data set that we have run",
        columns=columns,
        sections=[
            Section(f"Ranked among all items, protocol {PROTOCOL}", [*map(list, zip(*cells))])
        ],
        notes=_notes(found),
    )


def to_csv(found: dict[str, tuple[Path, Runs]]) -> str:
    """The table for programs: a line for each data set and method with a run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["dataset", "protocol", "method", *METRICS, "seeds", "folder"])
    for dataset, (folder, runs) in found.items():
        for method, records in runs.items():
            means = [number(_mean(runs, method, metric), 6) for metric in METRICS]
            writer.writerow([dataset, PROTOCOL, method, *means, len(records), _shown(folder)])
    return text.getvalue()


def _shown(folder: Path) -> str:
    """As seen from the working folder, if it lies there: a table names no place of one machine."""
    here = Path.cwd()
    inside = folder.resolve().is_relative_to(here)
    return (folder.resolve().relative_to(here) if inside else folder).as_posix()


def _label(method: str, printed: str) -> str:
    return f"{printed} ({method})" if printed not in ("", method) else method


def _mean(runs: Runs, method: str, metric: str) -> float | None:
    """Mean over the seeds of a full-ranking metric; None without a run."""
    values = [record.accuracy["full", metric] for record in runs.get(method, ())]
    return float(np.mean(values)) if values else None


def _notes(found: dict[str, tuple[Path, Runs]]) -> list[str]:
    several = [
        f"{method} on {dataset}: {len(records)}"
        for dataset, (_, runs) in found.items()
        for method, records in runs.items()
        if len(records) > 1
    ]
    elsewhere = [f"{dataset}: {_shown(folder)}" for dataset, (folder, _) in found.items()]
    return [
        f"From the run records of {'; '.join(elsewhere)}. Which differences are more than chance, "
        "and the sampled rankings, are in the tables there; `llm4rec pair` tests any two methods "
        "whose users' ranks git keeps.",
        f"Means over seeds: {'; '.join(several)}; else one seed." if several else "One seed each.",
        "How much a method was tuned differs by data set; docs/baselines.md says what of ours was.",
        "Best of a column bold, second best underlined, as rounded here. –: not run.",
    ]
