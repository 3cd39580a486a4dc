"""What `make repro` trains, in minutes of one core, from the committed records.

    python -m benchmarks.performance.pipeline_cost

Nothing is trained. Writes results/pipeline_cost.md, which docs/pipeline.md copies.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.options import RESULTS
from benchmarks.report import number, table
from llm4rec_recbole.files import read_json, write_atomically
from llm4rec_recbole.pipeline.status import read_params, run_stages

CORES = 2


def training_minutes() -> dict[str, list[tuple[int, float]]]:
    """Each stage's runs: their seeds, and the minutes that their records say they trained.

    Raises InputError where a run of params.yaml has no record, or a broken one.
    """
    stages: dict[str, list[tuple[int, float]]] = {}
    for name, run in run_stages(read_params()).items():
        record: Any = read_json(run.record())
        minutes = float(record["cost"]["train_seconds"]) / 60
        stages.setdefault(name.partition("@")[0], []).append((run.seed, minutes))
    return stages


def render(stages: dict[str, list[tuple[int, float]]]) -> str:
    """A table of the stages, and the sums over all runs and over those of seed 0."""

    def minutes(runs: Iterable[tuple[int, float]]) -> float:
        return sum(trained for _, trained in runs)

    everything = [run for runs in stages.values() for run in runs]
    first = [run for run in everything if run[0] == 0]
    header = ["stage", "runs", "training, minutes of one core"]
    rows = [[f"`{name}`", str(len(runs)), number(minutes(runs))] for name, runs in stages.items()]
    rows.append(["all", str(len(everything)), number(minutes(everything))])
    rows.append(["seed 0 alone", str(len(first)), number(minutes(first))])
    lines = (
        f"By the committed records, {CORES} runs at a time on {CORES} cores train for about "
        f"{minutes(everything) / CORES:.0f} minutes, those of seed 0 for about "
        f"{minutes(first) / CORES:.0f}. Starts, evaluation, explanations and tables come on top."
    )
    return f"{lines}\n\n{table(header, rows)}\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the page and print it."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.performance.pipeline_cost",
        description=__doc__.splitlines()[0],
    )
    parser.add_argument("--output", type=Path, default=RESULTS)
    page = render(training_minutes())
    write_atomically(parser.parse_args(arguments).output / "pipeline_cost.md", page)
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
