"""An earlier commit against this one, side by side in one run.

    git worktree add ../before COMMIT
    python -m benchmarks.performance.before_after --before ../before

Each measurement is a process of its own, first with the earlier package, then with this one: the
start of `run_recbole --model=Pop`, a data set of MovieLens-25M's shape from CSV to split, and the
three rankings of a model with vectors. Writes results/before_after.json and .md. On a machine that
others use, CPU seconds are what a machine of its own would take; the kernel's share, mostly of
giving memory, is separate.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.options import RESULTS
from benchmarks.performance.synthetic_movielens import (
    ITEMS,
    ROWS,
    USERS,
    write_movies,
    write_ratings,
)
from benchmarks.report import number, table
from llm4rec_recbole.files import write_atomically, write_json
from llm4rec_recbole.machine import processor_name

HERE = Path(__file__).resolve().parent
WORK = Path("work") / "before_after"
PARTS = ("start", "data", "evaluation")
TO_RANK = ("negatives", "ranking")
MEAN_LENGTH = 154  # items that a user of MovieLens-25M has rated
#: Starts the command `run_recbole` of the package on PYTHONPATH.
COMMAND = "import sys; from llm4rec_recbole.cli.run import run_recbole; sys.exit(run_recbole())"


def run(tree: Path, arguments: list[str], folder: Path, request: Any = None) -> dict[str, Any]:
    """Run Python in `folder` with the package of the checkout `tree`.

    Returns wall-clock seconds, user and kernel CPU seconds, and the worker's answer, if any.
    Raises RuntimeError with the end of its messages when it fails.
    """
    variables = os.environ | {"PYTHONPATH": str(tree.resolve()), "OMP_NUM_THREADS": "1"}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        cwd=folder,
        env=variables,
    )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{tree}: {done.stderr[-500:]}")
    return {
        "wall": round(wall, 2),
        "user": round(after.ru_utime - before.ru_utime, 2),
        "kernel": round(after.ru_stime - before.ru_stime, 2),
        "answer": None if request is None else json.loads(done.stdout.splitlines()[-1]),
    }


def start(tree: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """`run_recbole --model=Pop` on ml-100k, start to record: the second of two runs."""
    arguments = ["-c", COMMAND, "--model=Pop", "--quiet=true", f"--results_dir={folder}"]
    run(tree, arguments, folder)
    return {"run_recbole --model=Pop": run(tree, arguments, folder)}


def data(tree: Path, folder: Path, n_rows: int) -> dict[str, dict[str, Any]]:
    """First start (`llm4rec prepare`, then a run up to its first batch) and second start."""
    raw = WORK / f"raw-{n_rows}"
    if not (raw / "ratings.csv").is_file():
        write_movies(raw / "movies.csv")
        write_ratings(raw / "ratings.csv", n_rows)
    target = folder / "ml-25m" / "raw"
    target.mkdir(parents=True)
    for file in raw.iterdir():
        os.link(file, target / file.name)
    worker = [str(HERE / "workers" / "size_steps.py")]
    request = {"data_path": str(folder), "dataset": "ml-25m"}
    prepared = {"task": "prepare", "out": str(folder / "out"), **request}
    rows = f"{n_rows:,} ratings"
    return {
        f"{rows}: prepare": run(tree, worker, folder, prepared),
        f"{rows}: start of a run": run(tree, worker, folder, {"task": "start", **request}),
    }


def evaluation(tree: Path, folder: Path, n_users: int) -> dict[str, dict[str, Any]]:
    """All three rankings of `n_users` among MovieLens-25M's items, on one thread."""
    request = {"task": "evaluate", "n_users": n_users, "n_items": ITEMS, "threads": 1}
    worker = [str(HERE / "workers" / "evaluation_steps.py")]
    measured = run(tree, worker, folder, request | {"length": MEAN_LENGTH})
    answer = measured["answer"]
    return {
        f"{n_users:,} users: {part}": {
            "wall": round(answer[part]["wall"], 2),
            "user": round(answer[part]["cpu"], 2),
            "kernel": 0.0,
            "answer": answer,
        }
        for part in TO_RANK
    }


def render(measured: dict[str, Any]) -> str:
    """The tables, with ratios of CPU seconds."""
    rows = []
    for name, sides in measured["rows"].items():
        cells = [
            f"{number(side['user'] + side['kernel'])} ({number(side['kernel'])})"
            for side in (sides["before"], sides["after"])
        ]
        before, after = (side["user"] + side["kernel"] for side in sides.values())
        rows.append([name, *cells, f"{before / max(after, 1e-9):.1f} ×"])
    header = ["what", "before: CPU s (kernel)", "after: CPU s (kernel)", "before / after"]
    blocks = [
        "# Before and after",
        f"`python -m benchmarks.performance.before_after`: commit {measured['before']} against "
        f"{measured['after']}, in one run on {measured['date']}. {measured['machine']}, one "
        f"thread, load average {measured['load']:.1f} before the start.",
        table(header, rows),
    ]
    if full := measured.get("full_size"):
        alone = {"negatives": full["negatives"]["cpu"]}  # they are drawn by one thread
        alone["ranking"] = full["ranking"]["cpu"] / full["threads"]
        alone["total"] = sum(alone.values())
        blocks += [
            "## Evaluation at the size of MovieLens-25M",
            f"{USERS:,} users × {ITEMS:,} items, vectors of 64 numbers, all three rankings and "
            f"lists of 100, this commit, threads: {full['threads']}, with load average "
            f"{full['load']:.1f}. *Before* is extrapolated from {full['users_before']:,} users on "
            "one thread. Where other programs ran beside it, *alone* says what the wall clock "
            "would: one thread draws the negatives, and all threads share the ranking's CPU s.",
            table(
                ["part", "before: CPU s", "CPU s", "wall-clock s", "alone, s"],
                [
                    [
                        part,
                        number(full["before"][part]),
                        *(number(full[part][kind]) for kind in ("cpu", "wall")),
                        number(alone[part]),
                    ]
                    for part in alone
                ],
            ),
            f"Memory beside the model and the data: {full['beside_gib']} GiB.",
        ]
    return "\n\n".join(blocks) + "\n"


def commit_of(tree: Path) -> str:
    """The short name of a checkout's commit."""
    command = ["git", "-C", str(tree), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main(arguments: list[str] | None = None) -> int:
    """Measure the parts asked for and write the page; earlier measurements of others stay."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.performance.before_after",
        description=__doc__.splitlines()[0],
    )
    parser.add_argument("--before", type=Path, required=True, help="checkout of the earlier commit")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rows", type=int, default=ROWS, help="ratings (%(default)s)")
    parser.add_argument("--users", type=int, default=2048, help="users to rank (%(default)s)")
    parser.add_argument(
        "--full-size", type=int, metavar="THREADS", help="also rank all users, on so many threads"
    )
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    here, written = HERE.parents[1], options.output / "before_after.json"
    measured = json.loads(written.read_text()) if written.is_file() else {"rows": {}}
    measured |= {
        "before": commit_of(options.before),
        "after": commit_of(here),
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "machine": f"{processor_name()}, {os.cpu_count()} cores",
        "load": os.getloadavg()[0],
    }
    measure = {
        "start": lambda tree, folder: start(tree, folder),
        "data": lambda tree, folder: data(tree, folder, options.rows),
        "evaluation": lambda tree, folder: evaluation(tree, folder, options.users),
    }
    for part in options.parts:
        for side, tree in (("before", options.before), ("after", here)):
            folder = (WORK / side).resolve()
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for name, row in measure[part](tree, folder).items():
                print(f"{side}: {name}: {row['user']} + {row['kernel']} s", file=sys.stderr)
                measured["rows"].setdefault(name, {})[side] = row
            shutil.rmtree(folder)
    if options.full_size:
        request = {"task": "evaluate", "n_users": USERS, "n_items": ITEMS, "length": MEAN_LENGTH}
        worker = [str(HERE / "workers" / "evaluation_steps.py")]
        full = run(here, worker, WORK, request | {"threads": options.full_size})
        rows = [measured["rows"][f"{options.users:,} users: {part}"] for part in TO_RANK]
        seconds = [row["before"]["user"] / options.users * USERS for row in rows]
        measured["full_size"] = full["answer"] | {
            "threads": options.full_size,
            "load": os.getloadavg()[0],
            "users_before": options.users,
            "before": dict(zip((*TO_RANK, "total"), (*seconds, sum(seconds)))),
        }
    write_json(written, measured)
    page = render(measured)
    write_atomically(written.with_suffix(".md"), page)
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
