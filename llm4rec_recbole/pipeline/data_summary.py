"""Compares the data on this machine with the summaries in git: results/data/<dataset>.json.

    python -m llm4rec_recbole.pipeline.data_summary     the `prepare` stages to repeat, one a line

Git does not hold the data sets. Their summaries hold counts and sums, and every training stage
depends on them. Files in use must have the sums of the summary.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from llm4rec_recbole.console import run_command
from llm4rec_recbole.data.dataset_files import BUNDLED_DATASET, dataset_folder
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.paths import RESULTS, read_params
from llm4rec_recbole.files import read_json, sha256_of


def summary_path(dataset: str) -> Path:
    """Where the stage `prepare` writes the summary of a data set."""
    return RESULTS / "data" / f"{dataset}.json"


def check_against_summary(dataset: str) -> None:
    """Raises InputError where the data set is absent, or a file differs from its summary.

    Without a summary nothing is checked.
    """
    try:
        summary = read_json(summary_path(dataset))
    except FileNotFoundError:
        return
    folder = dataset_folder(dataset)
    for name, sha256 in _sums(summary, summary_path(dataset)).items():
        if not (folder / name).is_file() or sha256_of(folder / name) != sha256:
            hint = f"dvc repro --single-item --force prepare@{dataset}"
            raise InputError(
                f"not the file that {summary_path(dataset)} describes",
                file=folder / name,
                hint=hint,
            )


def changed(dataset: str) -> bool:
    """Whether `prepare` must run again: raw files are present, or a file differs."""
    if dataset != BUNDLED_DATASET and any(Path("dataset", dataset, "raw").glob("*")):
        return True
    try:
        check_against_summary(dataset)
    except InputError:
        return True
    return False


def _sums(summary: Any, path: Path) -> dict[str, str]:
    sums = summary.get("sha256") if isinstance(summary, dict) else None
    if not isinstance(sums, dict) or not all(isinstance(value, str) for value in sums.values()):
        raise InputError("no sums of files", file=path, hint="git checkout it, or prepare again")
    return sums


def main() -> int:
    """Print the stages. Raises InputError for a bad params.yaml."""
    for dataset in read_params().get("datasets") or []:
        if summary_path(dataset).is_file() and changed(dataset):
            print(f"prepare@{dataset}")
    return 0


if __name__ == "__main__":
    sys.exit(run_command("data_summary", main))
