"""Quality against seconds of each loss: SASRec on Beauty and ml-100k.

    python -m benchmarks.studies.losses --seeds 0 1 2 --data-path dataset

Every run has the options of properties/experiment/beauty/SASRec.yaml, apart from the loss and
from what RECIPES changes for a data set. Each is a process of its own. Runs that
benchmarks/results/losses.json has are not repeated, so the table may come from several commands.
losses.md beside it is written anew after each run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks.options import RESULTS
from benchmarks.performance.speedrun import OPTIONS, TOP, one_run
from benchmarks.report import table
from llm4rec_recbole.files import write_atomically, write_json
from llm4rec_recbole.yaml_files import read_yaml

NEGATIVES = {"num_negatives": 512}
LOSSES: dict[str, dict[str, Any]] = {
    "full": {"loss": "full"},
    "sampled, uniform": {"loss": "sampled", "negatives": "uniform", **NEGATIVES},
    "sampled, popularity": {"loss": "sampled", "negatives": "popularity", **NEGATIVES},
    "sampled, in_batch": {"loss": "sampled", "negatives": "in_batch"},
    "gbce": {"loss": "gbce", **NEGATIVES},
    "sce": {"loss": "sce", **NEGATIVES},
}
#: Of the fast recipe: what a loss sets, and what `one_run` does.
_NOT_COMMON = {"method", "loss", "num_negatives", "epochs", "eval_step", "num_threads"}
#: Each data set's own options of the recipe.
RECIPES: dict[str, dict[str, int]] = {
    "beauty": {"epochs": 16, "batch_targets": 512},
    "ml-100k": {"epochs": 20, "batch_targets": 1024},
}
#: CPU-seconds: other programs may share the machine.
HEADER = ["loss", "seeds", "valid NDCG@10", "test NDCG@10", "CPU-seconds"]


def main(arguments: list[str] | None = None) -> int:
    """Execute the missing runs, seed after seed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.losses",
        description="Train SASRec with each loss, and write quality against seconds.",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="(%(default)s)")
    parser.add_argument("--datasets", nargs="+", choices=RECIPES, default=[*RECIPES])
    parser.add_argument("--threads", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--data-path", default="dataset", help="(%(default)s)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder to write to")
    a = parser.parse_args(arguments)
    file = a.output / "losses.json"
    runs: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
    done = {(run["dataset"], run["loss"], run["seed"]) for run in runs}
    for seed, dataset, loss in itertools.product(a.seeds, a.datasets, LOSSES):
        if (dataset, loss, seed) in done:
            continue
        recipe = dict(RECIPES[dataset])
        epochs = recipe.pop("epochs")
        options = common_options() | recipe | LOSSES[loss]
        run = one_run(seed, epochs, a.threads, a.data_path, dataset, options)
        runs.append({"dataset": dataset, "loss": loss, "threads": a.threads, **run})
        write_json(file, runs)
        write_atomically(a.output / "losses.md", report(runs))
        print(runs[-1], file=sys.stderr)
    return 0


def common_options() -> dict[str, Any]:
    """The options of the fast recipe that are the same for every loss."""
    recipe = read_yaml(TOP / OPTIONS).values
    return {name: value for name, value in recipe.items() if name not in _NOT_COMMON}


def report(runs: list[dict[str, Any]]) -> str:
    """One table a data set, a row for each loss: means over the seeds, ± their deviation."""
    blocks = [
        "# Losses: quality against seconds",
        "SASRec with the options of properties/experiment/beauty/SASRec.yaml and 512 "
        "negatives, apart from the loss. Full ranking, leave-one-out. The options were chosen with "
        "the sampled loss on Beauty, which may favour it. Seconds are of the whole command.",
    ]
    for dataset in dict.fromkeys(run["dataset"] for run in runs):
        rows = []
        for loss in LOSSES:
            group = [run for run in runs if (run["dataset"], run["loss"]) == (dataset, loss)]
            if group:
                seeds = ", ".join(str(run["seed"]) for run in group)
                scores = [_spread(group, name) for name in ("valid_ndcg@10", "test_ndcg@10")]
                seconds = f"{mean(run['cpu_seconds'] for run in group):.0f}"
                rows.append([loss, seeds, *scores, seconds])
        recipe = RECIPES[dataset]
        title = (
            f"## {dataset}, {recipe['epochs']} epochs, {recipe['batch_targets']} targets a batch"
        )
        blocks += [title, table(HEADER, rows)]
    machines = sorted({f"{run['hardware']}, {run['threads']} thread(s)" for run in runs})
    return "\n\n".join([*blocks, "; ".join(machines) + "."]) + "\n"


def _spread(group: list[dict[str, Any]], name: str) -> str:
    values = [run[name] for run in group]
    spread = f" ± {stdev(values):.4f}" if len(values) > 1 else ""
    return f"{mean(values):.4f}{spread}"


if __name__ == "__main__":
    sys.exit(main())
