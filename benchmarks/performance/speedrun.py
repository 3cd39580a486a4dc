"""SASRec on Beauty: seconds from starting the command to its test metrics.

    python -m benchmarks.performance.speedrun --seeds 0 1 2 3 4

Each run is a process of its own: it reads the data, computes the first item vectors, trains,
validates and tests. Writes speedrun.json and speedrun.md. docs/speedrun.md is the log of records.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.options import RESULTS
from llm4rec_recbole.files import write_atomically, write_json

TOP = Path(__file__).resolve().parents[2]
OPTIONS = "properties/experiment/beauty/SASRec.yaml"
TARGETS = ((0.0531, 60), (0.0575, 120))  # test NDCG@10 and seconds (issue "Fast")


def main(arguments: list[str] | None = None) -> int:
    """Run every seed at every number of epochs, and write the results after each run."""
    a = _parser().parse_args(arguments)
    measured: dict[str, Any] = {"threads": a.threads, "load_average": os.getloadavg(), "runs": []}
    for epochs in a.epochs:
        for seed in a.seeds:
            measured["runs"].append(one_run(seed, epochs, a.threads, a.data_path))
            write_json(a.output / "speedrun.json", measured)
            write_atomically(a.output / "speedrun.md", table(measured))
            print(f"{measured['runs'][-1]}", file=sys.stderr)
    print(table(measured))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.performance.speedrun",
        description="Time SASRec on Beauty from the command to its test metrics.",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--epochs", type=int, nargs="+", default=[16, 38], help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--data-path", default="dataset", help="(%(default)s)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder to write to")
    return parser


def one_run(
    seed: int,
    epochs: int,
    threads: int,
    data_path: str,
    dataset: str = "beauty",
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Run the command once; its wall-clock and CPU seconds, and what its record says.

    options: None for those of the fast recipe.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "llm4rec_recbole.cli.run", "--model=SASRec"]
        command += [f"--dataset={dataset}", f"--seed={seed}"]
        command += [f"--epochs={epochs}", f"--eval_step={epochs}", f"--num_threads={threads}"]
        command += [f"--data_path={Path(data_path).resolve()}", f"--results_dir={folder}"]
        command += [f"--checkpoint_dir={folder}", "--show_progress=False", "--quiet=True"]
        if options is None:
            command.append(f"--config_files={TOP / OPTIONS}")
        else:
            command += [f"--{name}={value}" for name, value in options.items()]
        environment = os.environ | {"PYTHONPATH": str(TOP)}
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        (path,) = Path(folder).glob(f"runs/{dataset}/loo/*/seed_*.json")
        record = json.loads(path.read_text())
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seed": seed,
        "epochs": epochs,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "train_seconds": record["cost"]["train_seconds"],
        "valid_ndcg@10": record["metrics"]["valid"]["ndcg@10"],
        "test_hit@10": record["metrics"]["test"]["full"]["hit@10"],
        "test_ndcg@10": record["metrics"]["test"]["full"]["ndcg@10"],
        "git_commit": record["provenance"]["git_commit"],
        "hardware": record["provenance"]["hardware"],
    }


def table(measured: dict[str, Any]) -> str:
    """The report: one row for each number of epochs, means over the seeds that ran."""
    runs = measured["runs"]
    lines = [
        "# Speedrun: SASRec on Beauty",
        "",
        "From starting the command to its test metrics. Full ranking, leave-one-out. Means over "
        "the seeds.",
        "",
        "| epochs | seeds | seconds | CPU-seconds | valid NDCG@10 | test HR@10 | test NDCG@10 |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    for epochs in dict.fromkeys(run["epochs"] for run in runs):
        group = [run for run in runs if run["epochs"] == epochs]
        seeds = ", ".join(str(run["seed"]) for run in group)
        values = [
            mean(run[name] for run in group)
            for name in (
                *("seconds", "cpu_seconds", "valid_ndcg@10", "test_hit@10", "test_ndcg@10"),
            )
        ]
        lines.append(
            "| {} | {} | {:.1f} | {:.1f} | {:.4f} | {:.4f} | {:.4f} |".format(
                epochs, seeds, *values
            )
        )
    lines += ["", f"Goals: {', '.join(f'{value} in {limit} s' for value, limit in TARGETS)}."]
    load = measured["load_average"][0]
    hardware = runs[0]["hardware"] if runs else "unknown"
    lines += [
        f"{hardware}, {measured['threads']} threads. "
        f"The load average of the machine was {load:.1f} at the start.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
