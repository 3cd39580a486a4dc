"""`python -m benchmarks.studies.other_datasets NAME`: tables of runs outside the pipeline.

    python -m benchmarks.studies.other_datasets seeds --seeds 0 1 2 --methods SASRec EnhancedGenRec
    python -m benchmarks.studies.other_datasets beauty --datasets beauty --methods EASE \
        --options config_files=properties/experiment/beauty/EASE.yaml

Each run is one of `run_recbole` with the options of `make repro` and those of --options, in
work/other_datasets/NAME. A run that is there already is not repeated, so a table may come from
several commands. Tables I to IV, comparisons, records and users files go to git, in
benchmarks/results/NAME. The users files there hold ranks alone, a twentieth of their size.
Another checkout starts from these files: it copies the runs that its work folder lacks. A NAME
that is a data set's gets its columns in paper_tables/table_1_data_sets.
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

from benchmarks.options import RESULTS
from benchmarks.studies import committed_results
from llm4rec_recbole.cli import tables
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.paths import Run
from llm4rec_recbole.files import write_json

WORK = Path("work") / "other_datasets"
TABLES = ("table_1.md", "table_2.md", "table_3.md", "table_4.md")


def main(arguments: list[str] | None = None) -> int:
    """Execute the missing runs, then write the tables; 1 when a run failed."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.other_datasets",
        description="Train on other data sets, seeds or options, and write Tables I to IV.",
    )
    parser.add_argument("name", help="folder of results")
    parser.add_argument("--datasets", nargs="+", default=["ml-100k"])
    parser.add_argument("--protocol", default="loo")
    parser.add_argument("--methods", nargs="+", required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--scale", default="laptop", help="properties/scale/<scale>.yaml")
    parser.add_argument("--options", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    runs = [
        Run(dataset, options.protocol, method, seed)
        for dataset, seed, method in itertools.product(
            options.datasets, options.seeds, options.methods
        )
    ]
    results, out = WORK / options.name, RESULTS / options.name
    failures = results / "failures"
    if without_ranks := committed_results.restore(out, results) - {*runs}:
        names = " ".join(sorted(str(run.folder) for run in without_ranks))
        print(f"error: without users files the tables of {out} would lose {names}; run those "
              "methods too, or give another name", file=sys.stderr)  # fmt: skip
        return 2
    words = option_words(options.scale, options.options)
    with ThreadPoolExecutor(options.jobs) as pool:
        codes = list(pool.map(lambda run: execute(run, results, failures, words), runs))
    made = results / "tables"
    try:
        tables.compare(["--results", str(results)])
        tables.tables(["--results", str(results), "--failures", str(failures), "--out", str(made)])
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    committed_results.save(results, out)
    for name in TABLES:
        shutil.copy(made / name, out)
    return int(any(codes) or tables.dataset_table(["--other_results", str(RESULTS)]))


def option_words(scale: str, given: list[str]) -> list[str]:
    """The options of each run, as words of a command. Files of `given` follow that of the scale."""
    files = [f"properties/scale/{scale}.yaml"]
    files += [word.partition("=")[2] for word in given if word.startswith("config_files=")]
    others = [word for word in given if not word.startswith("config_files=")]
    return [f"--{word}" for word in (f"config_files={','.join(files)}", *others)]


def execute(run: Run, results: Path, failures: Path, words: list[str]) -> int:
    """Train one run, with the further options `words`, unless it has a record; the exit status.

    Leaves failures/<run>.json where the run fails, for the tables.
    """
    if run.record(results).is_file():
        print(f"{run}: there already", flush=True)
        return 0
    command = [sys.executable, "-m", "llm4rec_recbole.cli.run", f"--model={run.method}"]
    command += [f"--dataset={run.dataset}", f"--protocol={run.protocol}", f"--seed={run.seed}"]
    command += [f"--results_dir={results}", f"--checkpoint_dir={WORK}/checkpoints", *words]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    failure = failures / run.failure.name
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        write_json(failure, {"error": lines[-1]})
    else:
        failure.unlink(missing_ok=True)
    print(f"{run}: {'failed' if done.returncode else 'done'}", flush=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
