"""`python -m benchmarks.size`: what a data set of MovieLens-25M's size costs before training.

For 1, 5 and 25 million made-up ratings (synthetic_movielens.py), each in a process of its own:

    first start    ratings.csv ─▶ atomic file ─▶ check ─▶ columnar cache ─▶ split ─▶ windows
    second start                                          columnar cache ─▶ split ─▶ windows
    stock RecBole                 atomic file ─▶ its own training rows, within 24 GiB

Writes results/size.json and size.md. 25 million rows need some GB of disk under work/size.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.processes import WorkerFailed, Workers
from benchmarks.report import number, table
from benchmarks.synthetic_movielens import ROWS, write_ratings
from llm4rec_recbole.files import write_atomically, write_json

RESULTS = Path(__file__).resolve().parent / "results"
WORK = Path("work") / "size"
SIZES = (1_000_000, 5_000_000, ROWS)
STOCK_GIB = 24.0
GOALS = {"first_start": (180.0, 4.0), "second_start": (10.0, 4.0)}  # seconds, GiB, at ROWS


def measure(n_rows: int, workers: Workers, *, stock: bool) -> dict[str, Any]:
    """Both starts, and stock RecBole's loading, on `n_rows` ratings."""
    folder = (WORK / str(n_rows)).resolve()
    raw, atomic = folder / "raw", folder / "size"
    found: dict[str, Any] = {"shape": write_ratings(raw / "ratings.csv", n_rows)}
    for old in (atomic / "cache").glob("*"):
        old.unlink()
    found["first_start"] = workers.ask(
        "ours", "size_steps", task="first_start", raw=str(raw), folder=str(atomic)
    )
    found["second_start"] = workers.ask(
        "ours", "size_steps", task="second_start", folder=str(atomic)
    )
    if stock:
        try:
            found["stock RecBole"] = workers.ask(
                "recbole", "stock_size", task="load", data_path=str(folder), memory_gib=STOCK_GIB
            )
        except WorkerFailed as error:  # killed for its memory, before Python could tell
            found["stock RecBole"] = {"failed": str(error)}
    return found


def render(measured: dict[str, Any]) -> str:
    """The tables: cost by size, and what had to be reached."""
    rows, goals = [], []
    for n_rows, found in measured["sizes"].items():
        for start in ("first_start", "second_start", "stock RecBole"):
            if start in found:
                rows.append([f"{int(n_rows):,}", start.replace("_", " "), *_cost(found[start])])
        if int(n_rows) == ROWS:
            for start, (seconds, gib) in GOALS.items():
                cost = found[start]
                goals.append(_goal(start, "seconds", seconds, cost["total_seconds"]))
                goals.append(_goal(start, "GiB", gib, cost["peak_gib"]))
    blocks = [
        "# Size",
        f"{measured['machine']}, on {measured['date']}; made-up ratings of MovieLens-25M's shape.",
        table(["ratings", "what", "seconds", "peak GiB", "steps, in seconds"], rows),
    ]
    if goals:
        blocks += ["## What had to be reached", table(["requirement", "needed", "measured"], goals)]
    return "\n\n".join(blocks) + "\n"


def _cost(found: dict[str, Any]) -> list[str]:
    if "failed" in found:
        return ["–", f"more than {STOCK_GIB:.0f}", found["failed"]]
    steps = found.get("seconds", {})
    told = ", ".join(f"{name} {number(seconds)}" for name, seconds in steps.items())
    return [
        number(found["total_seconds"]),
        number(found["peak_gib"]),
        told or f"got as far as {found['reached']}",
    ]


def _goal(start: str, unit: str, needed: float, measured: float) -> list[str]:
    verdict = "reached" if measured <= needed else "not reached"
    name = f"{start.replace('_', ' ')}, {unit}"
    return [name, f"≤ {number(needed)}", f"{number(measured)}: {verdict}"]


def main(arguments: list[str] | None = None) -> int:
    """Measure, write and print; 1 when a requirement at full size is not reached."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.size", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--rows", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--no-stock", action="store_true", help="leave stock RecBole out")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    WORK.mkdir(parents=True, exist_ok=True)
    workers = Workers(WORK, options.threads)
    measured: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {options.threads} threads",
        "sizes": {},
    }
    for n_rows in options.rows:
        print(f"{n_rows:,} ratings", file=sys.stderr)
        measured["sizes"][str(n_rows)] = measure(n_rows, workers, stock=not options.no_stock)
        write_json(options.output / "size.json", measured)
        write_atomically(options.output / "size.md", render(measured))
    print(render(json.loads((options.output / "size.json").read_text())))
    return int("not reached" in render(measured))


if __name__ == "__main__":
    sys.exit(main())
