"""Choose options on validation alone, with the same number of trials for every method.

    python -m llm4rec_recbole.training.tune --model=SASRec --dataset=ml-100k

draws BUDGET distinct settings from properties/search/<model>.yaml (option: [values]). Each setting
is trained to early stopping, and its best validation NDCG@10 is appended to
results/tuning/<dataset>/<protocol>/<model>.csv. The test items are never scored. Trials that the
file already holds are not run again. A person copies the best setting to
properties/model/<model>.yaml, and a test compares the two files.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole.config import folder
from llm4rec_recbole.errors import InputError, shorten
from llm4rec_recbole.files import write_atomically
from llm4rec_recbole.yaml_files import read_yaml

BUDGET = 4  # trials, for every method
_COLUMNS = ["options", "valid_ndcg@10", "best_epoch", "epochs", "seconds", "seed"]


def draw_settings(space: dict[str, list[Any]], budget: int, seed: int = 0) -> list[dict[str, Any]]:
    """`budget` distinct settings of the grid that `space` spans, the same ones for the same seed.

    A grid no larger than the budget is returned whole.
    """
    grid = [dict(zip(space, values)) for values in itertools.product(*space.values())]
    order = np.random.default_rng(seed).permutation(len(grid))
    return [grid[i] for i in order[:budget]]


def read_space(model: str) -> dict[str, list[Any]]:
    """The search space of `model`. Raises InputError when it has none."""
    path = folder() / "search" / f"{model}.yaml"
    if not path.is_file():
        raise InputError(f"there is no search space for {model}", file=path)
    return read_yaml(path).values


def read_trials(path: Path) -> list[dict[str, str]]:
    """The rows of a file of trials. Raises InputError, with file and line, for a damaged one."""
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read the trials: {shorten(str(error))}", file=path) from error
    for line, row in enumerate(rows, start=2):
        try:
            setting = json.loads(row["options"])
            whole = set(row) == set(_COLUMNS) and None not in row.values()
            sound = isinstance(setting, dict) and 0 <= float(row["valid_ndcg@10"]) <= 1
        except (KeyError, TypeError, ValueError, RecursionError):
            whole = sound = False
        if not whole or not sound:
            hint = f"the columns are {', '.join(_COLUMNS)}; delete the row to run the trial again"
            raise InputError("this is no trial", file=path, line=line, hint=hint)
    return rows


def tune(model: str, dataset: str, protocol: str, results: Path, **options: Any) -> Path:
    """Run the trials of `model` that its file lacks; return the file."""
    from llm4rec_recbole.training.run import train

    path = results / "tuning" / dataset / protocol / f"{model}.csv"
    rows: list[dict[str, Any]] = [*read_trials(path)] if path.exists() else []
    done = {row["options"] for row in rows}
    for number, setting in enumerate(draw_settings(read_space(model), BUDGET), start=1):
        name = json.dumps(setting, sort_keys=True)
        if name in done:
            continue
        chosen = {"protocol": protocol, **options, **setting}
        experiment = train(model, dataset, options=chosen, save=False)
        trainer, config, fitted = experiment.trainer, experiment.config, experiment.fitted
        epochs = len(trainer.train_loss_dict)
        row = {
            "options": name,
            "valid_ndcg@10": f"{fitted.valid_metrics['ndcg@10']:.6f}",
            "best_epoch": epochs - trainer.cur_step * config["eval_step"],
            "epochs": epochs,
            "seconds": f"{fitted.train_seconds:.1f}",
            "seed": config["seed"],
        }
        rows.append(row)
        print(f"{model} {number}/{BUDGET} {row}", flush=True)
        table = io.StringIO()
        writer = csv.DictWriter(table, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(path, table.getvalue())
    return path


def best_setting(path: Path) -> dict[str, Any]:
    """The options of the trial with the best validation NDCG@10 (the first of equals)."""
    rows = read_trials(path)
    return json.loads(max(rows, key=lambda row: float(row["valid_ndcg@10"]))["options"])


def main(argv: list[str] | None = None) -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--dataset", default="ml-100k")
    parser.add_argument("--protocol", default="loo")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: torch's choice")
    a = parser.parse_args(argv)
    options = {"num_threads": a.threads, "quiet": True, "show_progress": False}
    print(tune(a.model, a.dataset, a.protocol, a.results, **options))


if __name__ == "__main__":
    main()
