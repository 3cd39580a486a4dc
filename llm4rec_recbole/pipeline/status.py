"""`llm4rec status`: how many cells are done, which failed and why, which runs, how long is left."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.pipeline import dvc_lock, seconds, state
from llm4rec_recbole.pipeline.cells import Cell, read_params, stages

Kind = Literal["done", "failed", "running", "waiting"]


@dataclass(frozen=True)
class Status:
    """Where one cell stands."""

    cell: Cell
    kind: Kind
    detail: str = ""  # the error of a failed one
    elapsed: float = 0.0  # seconds that a running one has run
    expected: float | None = None  # seconds that it takes in all; None: it never ran


def read() -> list[Status]:
    """The status of every cell that params.yaml asks for, in its order.

    A cell whose code, options or data changed since its record was made waits, as it does for
    DVC; one that runs again after a failure is running. Raises InputError for a bad params.yaml.
    """
    params = read_params()
    cells = stages(params)
    done = dvc_lock.up_to_date(cells, params)
    estimates = seconds.expected(list(cells.values()))
    return [_of(cell, name in done, estimates.get(cell)) for name, cell in cells.items()]


def _of(cell: Cell, done: bool, expected: float | None) -> Status:
    if state.is_running(cell):
        elapsed = time.time() - state.read(cell).get("started", time.time())
        return Status(cell, "running", elapsed=elapsed, expected=expected)
    if done:
        return Status(cell, "done")
    try:
        error = json.loads(cell.failure.read_bytes())["error"]
    except FileNotFoundError:
        return Status(cell, "waiting", expected=expected)
    return Status(cell, "failed", detail=error)


def remaining(statuses: Sequence[Status]) -> str:
    """What is left to do, as in `about 6 min left, and 2 cells never timed`; failed ones apart."""
    running = [s for s in statuses if s.kind == "running"]
    ahead = running + [s for s in statuses if s.kind == "waiting"]
    if not ahead:
        return "nothing left"
    known = [max(s.expected - s.elapsed, 0.0) for s in ahead if s.expected is not None]
    untimed = len(ahead) - len(known)
    parts = []
    if known:
        parts.append(f"about {seconds.phrase(sum(known) / max(len(running), 1))} left")
    if untimed:
        parts.append(f"{untimed} cell{'s' * (untimed > 1)} never timed")
    return ", and ".join(parts)


def report(statuses: Sequence[Status]) -> str:
    """The whole status, the summary first."""
    count = {kind: sum(s.kind == kind for s in statuses) for kind in ("done", "failed", "running")}
    lines = [f"{count['done']} of {len(statuses)} cells done"]
    lines[0] += "".join(f", {count[k]} {k}" for k in ("failed", "running") if count[k])
    lines[0] += f"; {remaining(statuses)}"
    for status in statuses:
        if status.kind == "failed":
            lines.append(f"  failed   {status.cell}: {status.detail}")
        elif status.kind == "running":
            whole = (
                "" if status.expected is None else f" of about {seconds.phrase(status.expected)}"
            )
            lines.append(f"  running  {status.cell}: {seconds.phrase(status.elapsed)}{whole}")
        elif status.kind == "waiting":
            lines.append(f"  waiting  {status.cell}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the status; returns the exit code: 1 if a cell failed, 2 for bad input, else 0."""
    description = "Show which cells are done, which failed, which run, and how long is left."
    argparse.ArgumentParser("llm4rec status", description=description).parse_args(arguments)
    try:
        statuses = read()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report(statuses))
    return int(any(s.kind == "failed" for s in statuses))


if __name__ == "__main__":
    sys.exit(main())
