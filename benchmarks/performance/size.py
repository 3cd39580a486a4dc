"""The cost of a data set of MovieLens-25M's size before training.

    python -m benchmarks.performance.size

The data are 1, 5 and 25 million synthetic ratings (synthetic_movielens.py) under the name ml-25m.
Each line is a process of its own:

    first start    llm4rec prepare   ratings.csv ─▶ atomic file ─▶ check ─▶ columnar cache
                   run_recbole       imports ─▶ cache ─▶ split ─▶ windows of an epoch
    second start   run_recbole       the same
    stock RecBole                    atomic file ─▶ its own training rows, within 24 GiB

The smallest and the largest size both have all 59,047 movies. There each model, with its own
options, has one training step and one full-ranking evaluation batch measured. Writes
results/size.json and size.md after each size. 25 million rows need some GB of disk under work/size.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.options import RESULTS
from benchmarks.performance.processes import WorkerFailed, Workers
from benchmarks.performance.synthetic_movielens import ROWS, write_movies, write_ratings
from benchmarks.report import number, table
from llm4rec_recbole.files import write_atomically, write_json
from llm4rec_recbole.machine import processor_name

WORK = Path("work") / "size"
DATASET = "ml-25m"
SIZES = (1_000_000, 5_000_000, ROWS)
PARTS = ("ours", "steps", "stock")
STARTS = ("first start", "second start", "stock RecBole")
CSV_TO_SPLIT = 15.0  # CPU seconds of `llm4rec prepare`, at ROWS (issue "Fast")
SECOND_START = 3.0  # CPU seconds, at ROWS
START_GIB = 4.0
STEP_GIB = 8.0
#: How each model's softmax over the catalogue fits.
SOFTMAX = {
    "SASRec": "full, in chunks (training/cross_entropy.py)",
    "BERT4Rec": "full, RecBole's own: all logits of the masked positions at once",
    "EnhancedGenRec": "full, in chunks (training/cross_entropy.py)",
}


def measure(n_rows: int, workers: Workers) -> dict[str, Any]:
    """Both starts on `n_rows` ratings."""
    folder = (WORK / str(n_rows)).resolve()
    data = {"data_path": str(folder), "dataset": DATASET}
    found: dict[str, Any] = {"shape": _write_raw(folder / DATASET / "raw", n_rows)}
    for old in (folder / DATASET / "cache").glob("*"):
        old.unlink()
    prepared = workers.ask("ours", "size_steps", task="prepare", **data, out=str(folder / "out"))
    found["first start"] = _together(
        prepared, workers.ask("ours", "size_steps", task="start", **data)
    )
    found["second start"] = workers.ask("ours", "size_steps", task="start", **data)
    return found


def measure_stock(n_rows: int, workers: Workers, limits: dict[str, float]) -> dict[str, Any]:
    """Stock RecBole's loading of the atomic file that `measure` left."""
    data = {"data_path": str((WORK / str(n_rows)).resolve()), "dataset": DATASET}
    try:
        return workers.ask("recbole", "stock_size", task="load", **data, **limits)
    except WorkerFailed as error:  # killed for its memory, before Python could tell
        return {"failed": str(error)}


def _write_raw(folder: Path, n_rows: int) -> dict[str, float]:
    """Make the raw files, unless they are there; their shape."""
    shape = folder.parent.parent / "shape.json"
    if not shape.is_file():
        write_movies(folder / "movies.csv")
        write_json(shape, write_ratings(folder / "ratings.csv", n_rows))
    return dict(json.loads(shape.read_text()))


def _together(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    """What two processes, one after the other, cost together."""
    sums = {key: round(one[key] + two[key], 2) for key in ("total_seconds", "cpu_seconds")}
    steps = {key: one[key] | two[key] for key in ("seconds", "cpu_seconds_of_steps")}
    return two | sums | steps | {"peak_gib": max(one["peak_gib"], two["peak_gib"])}


def measure_steps(n_rows: int, workers: Workers) -> dict[str, Any]:
    """A training step and an evaluation batch of each model; needs `measure(n_rows, …)` first."""
    folder = (WORK / str(n_rows)).resolve()
    return {
        model: workers.ask(
            "ours", "size_steps", task="step", data_path=str(folder), dataset=DATASET, model=model
        )
        for model in SOFTMAX
    }


def render(measured: dict[str, Any]) -> str:
    """The tables: cost by size, steps at the full catalogue, and what had to be reached."""
    load = ", ".join(f"{value:.1f}" for value in measured["load_average"])
    blocks = [
        "# Size",
        f"{measured['machine']}, on {measured['date']}, load average {load} before the start; "
        "synthetic ratings of MovieLens-25M's shape. Where other programs ran beside it, the CPU "
        "seconds say what the wall clock would on a machine of its own.",
        _shape(list(measured["sizes"].values())[-1].get("shape")),
        "## Before training",
        table(
            ["ratings", "what", "seconds", "CPU s", "peak GiB", "steps, CPU s"],
            [
                [f"{int(n_rows):,}", start, *_cost(found[start])]
                for n_rows, found in measured["sizes"].items()
                for start in STARTS
                if start in found
            ],
        ),
    ]
    if "steps" in measured:
        what = (
            f"{measured['steps_on']}. *Before* is reading the data and making the model, with the "
            "vectors of the items' texts, where they are not stored from an earlier run."
        )
        blocks += ["## One training step, one evaluation batch", what, _steps(measured["steps"])]
    goals = _goals(measured)
    if goals:
        blocks += ["## What had to be reached", table(["requirement", "needed", "measured"], goals)]
    return "\n\n".join(blocks) + "\n"


def _shape(shape: dict[str, float] | None) -> str:
    if shape is None:
        return "The shape of the ratings was not measured."
    values = ", ".join(f"{name.replace('_', ' ')} {value:,.0f}" for name, value in shape.items())
    return f"The largest: {values}."


def _cost(found: dict[str, Any]) -> list[str]:
    if "failed" in found:
        return ["–", "–", "–", found["failed"]]
    laps = found.get("cpu_seconds_of_steps", {})
    steps = ", ".join(f"{name} {number(took)}" for name, took in laps.items())
    if "reached" in found:
        steps = f"made {found['reached']}"
        if found["stopped"]:
            steps = f"stopped at {found['stopped']}: {steps}"
    return [*(number(found[key]) for key in ("total_seconds", "cpu_seconds", "peak_gib")), steps]


def _steps(steps: dict[str, dict[str, Any]]) -> str:
    header = ["ratings", "movies", "model", "before, s", "windows", "step, s", "users",
              "evaluation, s", "peak GiB", "softmax"]  # fmt: skip
    rows = []
    for n_rows, models in steps.items():
        for model, found in models.items():
            laps = ("before", "training step", "evaluation batch")
            before, step, evaluation = (number(found["seconds"][name]) for name in laps)
            peak = f"{number(found['peak_gib'])} (before: {number(found['loaded_gib'])})"
            rows.append([f"{int(n_rows):,}", f"{found['n_items']:,}", model, before,
                         str(found["windows"]), step, str(found["users"]), evaluation, peak,
                         SOFTMAX[model]])  # fmt: skip
    return table(header, rows)


def _goals(measured: dict[str, Any]) -> list[list[str]]:
    rows = []
    full = measured["sizes"].get(str(ROWS), {})
    spent = full.get("first start", {}).get("cpu_seconds_of_steps", {}).get("prepare")
    if spent is not None:  # measured as it is today
        rows.append(_goal("CSV to split (`llm4rec prepare`), CPU s", CSV_TO_SPLIT, spent))
    if second := full.get("second start"):
        rows.append(_goal("second start, CPU s", SECOND_START, second["cpu_seconds"]))
    for start in ("first start", "second start"):
        if start in full:
            rows.append(_goal(f"{start}, GiB", START_GIB, full[start]["peak_gib"]))
    for n_rows, models in measured.get("steps", {}).items():
        for model, found in models.items():
            name = f"{model}, {int(n_rows):,} ratings: all up to evaluation, GiB"
            rows.append(_goal(name, STEP_GIB, found["peak_gib"]))
    return rows


def _goal(name: str, needed: float, measured: float) -> list[str]:
    verdict = "reached" if measured <= needed else "not reached"
    return [name, f"≤ {number(needed)}", f"{number(measured)}: {verdict}"]


def main(arguments: list[str] | None = None) -> int:
    """Measure, write and print; 1 when a requirement at full size is not reached."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.performance.size", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--rows", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--stock-gib", type=float, default=24.0, help="memory that it may take")
    parser.add_argument("--stock-minutes", type=float, default=10.0, help="of the processor")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    WORK.mkdir(parents=True, exist_ok=True)
    workers, written = Workers(WORK, options.threads), options.output / "size.json"
    measured: dict[str, Any] = {"sizes": {}}
    if set(options.parts) != set(PARTS) and written.is_file():  # the others' numbers stay
        measured = json.loads(written.read_text())
    machine = {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "machine": f"{processor_name()}, {os.cpu_count()} cores, {options.threads} threads",
        "load_average": os.getloadavg(),
    }
    measured = machine | measured if "ours" not in options.parts else measured | machine
    if "steps" in options.parts:
        measured["steps_on"] = f"{machine['machine']}, on {machine['date']}"
        measured["steps"] = {}

    def save() -> None:
        write_json(written, measured)
        write_atomically(written.with_suffix(".md"), render(measured))

    for n_rows in sorted(options.rows):
        print(f"{n_rows:,} ratings", file=sys.stderr)
        found = measured["sizes"].setdefault(str(n_rows), {})
        if "ours" in options.parts:
            found |= measure(n_rows, workers)
            save()
        if "steps" in options.parts and n_rows in (min(options.rows), max(options.rows)):
            measured["steps"][str(n_rows)] = measure_steps(n_rows, workers)
            save()
        if "stock" in options.parts:
            limits = {"memory_gib": options.stock_gib, "minutes": options.stock_minutes}
            found["stock RecBole"] = measure_stock(n_rows, workers, limits)
            save()
    print(render(measured))
    return int("not reached" in render(measured))


if __name__ == "__main__":
    sys.exit(main())
