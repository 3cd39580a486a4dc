"""`python -m benchmarks.wider NAME`: the tables over more seeds or data sets than `make repro` has.

    python -m benchmarks.wider seeds --seeds 0 1 2 --methods SASRec BERT4Rec EnhancedGenRec
    python -m benchmarks.wider beauty --datasets beauty --methods EASE --options reg_weight=50

A cell is a run of `run_recbole` with the options of `make repro` and those of --options, in
work/wider/NAME; one that is there already is kept, so a table may come from several commands.
Tables I to IV, comparisons, records and users files go to benchmarks/results/NAME, for git: the
users files as ranks alone, a twentieth of their size. They are enough to go on from in another
checkout: what it lacks in work/wider/NAME is taken from there first. A NAME that is a data set's
gets its columns in paper_tables/table_1_data_sets.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import kept
from llm4rec_recbole.cli import compare, tables
from llm4rec_recbole.evaluation.paths import Run
from llm4rec_recbole.files import write_json

RESULTS = Path(__file__).resolve().parent / "results"
WORK = Path("work") / "wider"
KEPT = ("table_1.md", "table_2.md", "table_3.md", "table_4.md")


def main(arguments: list[str] | None = None) -> int:
    """Run the cells that are missing, then write the tables; 1 when a cell failed."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.wider", description=__doc__.splitlines()[0].partition(": ")[2]
    )
    parser.add_argument("name", help="of the folder of results")
    parser.add_argument("--datasets", nargs="+", default=["ml-100k"])
    parser.add_argument("--protocol", default="loo")
    parser.add_argument("--methods", nargs="+", required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--scale", default="laptop", help="properties/scale/<scale>.yaml")
    parser.add_argument("--options", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    cells = [
        Run(dataset, options.protocol, method, seed)
        for dataset, seed, method in itertools.product(
            options.datasets, options.seeds, options.methods
        )
    ]
    results, out = WORK / options.name, RESULTS / options.name
    failures = results / "failures"
    asked = {cell.folder for cell in cells}
    if lost := kept.restore(out, results) - asked:
        named = " ".join(sorted(map(str, lost)))
        print(f"error: without users files the tables of {out} would lose {named}; run those "
              "methods too, or give another name", file=sys.stderr)  # fmt: skip
        return 2
    given = [f"config_files=properties/scale/{options.scale}.yaml", *options.options]
    more = [f"--{each}" for each in given]
    with ThreadPoolExecutor(options.jobs) as pool:
        codes = list(pool.map(lambda cell: run(cell, results, failures, more), cells))
    made = results / "tables"
    steps = [
        compare.main(["--results", str(results)]),
        compare.fairness_null(["--results", str(results)]),
        tables.main(["--results", str(results), "--failures", str(failures), "--out", str(made)]),
    ]
    if any(steps):
        return 1
    kept.keep(results, out)
    for name in KEPT:
        shutil.copy(made / name, out)
    return int(any(codes) or tables.dataset_table(["--other_results", str(RESULTS)]))


def run(cell: Run, results: Path, failures: Path, more: list[str]) -> int:
    """Run one cell, with `more` options, unless its record is there; its exit code. Leaves
    failures/<cell>.json when it fails, for the tables."""
    record = cell.record(results)
    if record.is_file():
        print(f"{cell}: there already", flush=True)
        return 0
    command = ["run_recbole", f"--model={cell.method}", f"--dataset={cell.dataset}"]
    command += [f"--protocol={cell.protocol}", f"--seed={cell.seed}", f"--results_dir={results}"]
    command += [f"--checkpoint_dir={WORK}/saved", *more]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    failure = failures / cell.failure.name
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        write_json(failure, {"error": said[-1]})
    else:
        failure.unlink(missing_ok=True)
    print(f"{cell}: {'failed' if done.returncode else 'done'}", flush=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
