"""The options chosen on other data sets, beside the metrics of their runs.

Options: properties/experiment/<data set>/<model>.yaml. Runs: <other_results>/<data set>.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.records import Record, read_records
from llm4rec_recbole.files import properties_folder
from llm4rec_recbole.reporting.tables.render import Cell, Section, Table, number
from llm4rec_recbole.yaml_files import read_yaml

NAME = "experiments"
NOT_SHOWN = ("num_threads",)  # decides the speed, not the result
_TRIALS = re.compile(r"^# Validation trials: (\d+|unknown)\.", re.MULTILINE)


def build(other_results: Path, folder: Path | None = None) -> Table:
    """A section for each data set, a row for each file of options.

    Raises InputError for a file without its number of trials, and for a bad record.
    """
    folder = folder or properties_folder() / "experiment"
    sections = []
    for dataset in sorted(path for path in folder.iterdir() if path.is_dir()):
        records = {
            record.method: record
            for record in read_records(other_results / dataset.name)
            if record.protocol == "loo" and record.dataset == dataset.name
        }
        rows = [_row(file, records.get(file.stem)) for file in sorted(dataset.glob("*.yaml"))]
        sections.append(Section(dataset.name, rows))
    return Table(
        name="Options",
        label="tab:experiments",
        title="Options chosen on validation, by data set",
        columns=[
            ("", name) for name in ("Method", "Options", "Trials", "Valid NDCG@10", "Test NDCG@10")
        ],
        sections=sections,
        notes=["Full ranking, protocol loo, first seed. –: no run in git."],
        text=True,
    )


def _row(file: Path, record: Record | None) -> list[Cell]:
    trials = _TRIALS.search(file.read_text(encoding="utf-8"))
    if trials is None:
        raise InputError("no line `# Validation trials: N.` in the header", file=file)
    options: dict[str, Any] = read_yaml(file).values
    shown = ", ".join(f"{name} {value}" for name, value in options.items() if name not in NOT_SHOWN)
    valid = test = None
    if record is not None:
        valid = max((value for _, value in record.history), default=None)
        test = record.accuracy["full", "ndcg@10"]
    values = [number(valid, 4) or "–", number(test, 4) or "–"]
    return [Cell(text) for text in (file.stem, shown, trials[1], *values)]
