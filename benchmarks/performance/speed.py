"""This project against stock RecBole and RecTools, in one run.

    python -m benchmarks.performance.speed

Prints a Markdown report on stdout, progress on stderr, and writes speed.json and speed.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.options import RESULTS
from benchmarks.performance.environments import ENVIRONMENTS, python_of
from benchmarks.performance.measurements import FULL, PARTS, QUICK
from benchmarks.performance.processes import WorkerFailed, Workers
from benchmarks.report import render
from llm4rec_recbole.files import write_atomically, write_json


def main(arguments: list[str] | None = None) -> int:
    """Measure the parts asked for; 1 when a worker failed (what was measured is kept)."""
    options = _parser().parse_args(arguments)
    scale = QUICK if options.quick else FULL
    if options.full_epoch:
        scale = replace(scale, seconds=None)
    folder = options.output or (ENVIRONMENTS.parent / "quick" if options.quick else RESULTS)
    measured: dict[str, Any] = {
        "quick": options.quick,
        "started": time.strftime("%Y-%m-%d %H:%M"),
        "threads": options.threads,
        "machine": _machine(),
        "scale": asdict(scale),
    }
    for name in ("recbole", "rectools"):
        python_of(name)
    status = 0
    with tempfile.TemporaryDirectory() as temporary:
        workers = Workers(Path(temporary), options.threads)
        for part in options.only:
            try:
                measured[part] = PARTS[part](workers, scale)
            except WorkerFailed as failure:
                print(f"{part}: {failure}", file=sys.stderr)
                status = 1
            report = render(measured)
            write_json(folder / "speed.json", measured)
            write_atomically(folder / "speed.md", report)
    print(report)
    print(f"written to {folder}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.performance.speed",
        description="Measure training, evaluation, start-up and time to quality on ml-100k "
        "against stock RecBole 1.2.1 and RecTools 0.19.0, each in an environment of its own "
        f"(made under {ENVIRONMENTS.parent.name}/{ENVIRONMENTS.name}/ when first needed). "
        "About half an hour; leave the machine to it.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="small models, seconds each: to see that it works"
    )
    parser.add_argument(
        "--full-epoch",
        action="store_true",
        help="run stock RecBole's training epochs to their end instead of extrapolating from "
        f"{FULL.seconds:.0f} s",
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), help="measure these parts only"
    )
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count(), help="threads for each (default: all cores)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="folder of speed.json and speed.md (default: benchmarks/results)",
    )
    return parser


def _machine() -> dict[str, Any]:
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    return {"cpu": cpu, "cores": os.cpu_count(), "load_average": os.getloadavg()}


if __name__ == "__main__":
    sys.exit(main())
