"""The table of a search's trials, and the option file of its best."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from llm4rec_recbole.config import folder
from llm4rec_recbole.errors import InputError, shorten
from llm4rec_recbole.files import write_atomically

METRIC = "ndcg@10"  # by which trials are compared, on validation
SCORE = f"valid_{METRIC}"  # its column
COLUMNS = ["options", SCORE, "best_epoch", "epochs", "seconds", "seed", "state"]


def read_trials(path: Path) -> list[dict[str, str]]:
    """The rows of a file of trials. Raises InputError, with file and line, for a damaged one."""
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read the trials: {shorten(str(error))}", file=path) from error
    for line, row in enumerate(rows, start=2):
        try:
            setting = json.loads(row["options"])
            is_complete = set(row) | {"state"} == set(COLUMNS) and None not in row.values()
            sound = isinstance(setting, dict) and 0 <= float(row[SCORE]) <= 1
        except (KeyError, TypeError, ValueError, RecursionError):
            is_complete = sound = False
        if not is_complete or not sound:
            hint = f"the columns are {', '.join(COLUMNS)}; delete the row to run the trial again"
            raise InputError("this is no trial", file=path, line=line, hint=hint)
    return rows


def best_trial(path: Path) -> dict[str, str]:
    """The row with the best validation NDCG@10, the first of equals. InputError without a row."""
    rows = read_trials(path)
    if not rows:
        raise InputError("there is no trial", file=path)
    return max(rows, key=lambda row: float(row[SCORE]))


def write_experiment(path: Path, model: str, dataset: str, protocol: str) -> Path:
    """Write the best options to properties/experiment/<dataset>/<model>.yaml; return the file."""
    import yaml

    trial, rows = best_trial(path), read_trials(path)
    target = folder() / "experiment" / dataset / f"{model}.yaml"
    file = f"properties/experiment/{dataset}/{model}.yaml"
    lines = [
        f"# {model} on {dataset}, chosen by `llm4rec tune --model={model} --dataset={dataset}`.",
        f"#   run_recbole --model={model} --dataset={dataset} --config_files={file}",
        f"# Validation trials: {len(rows)}. Training: {float(trial['seconds']) / 60:.0f} min.",
        f"# Expected under {protocol}, seed {trial['seed']}: validation NDCG@10 "
        f"{float(trial[SCORE]):.4f}.",
        yaml.safe_dump(json.loads(trial["options"]), sort_keys=True).rstrip(),
    ]
    write_atomically(target, "\n".join(lines) + "\n")
    return target
