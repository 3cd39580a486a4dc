"""Which stages dvc.lock says are finished, told without importing DVC (which takes a second).

dvc.lock lists, for each finished stage, its command and the MD5 of all it read and wrote. This
compares them with the files, as `dvc status` does, but trusts a users file, and the data, by size.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.paths import Cell, read_params, stages
from llm4rec_recbole.pipeline import cell_state

LOCK = Path("dvc.lock")
Stage = dict[str, Any]


def up_to_date(names: Iterable[str], params: dict[str, Any]) -> set[str]:
    """Those of the stages `names` that `dvc repro` would skip, `params` being params.yaml's."""
    lock = _read()
    written = {out["path"]: out["md5"] for stage in lock.values() for out in stage.get("outs", ())}
    now = cache(md5_of)  # most stages read the same files

    def unchanged(entry: dict[str, Any]) -> bool:
        path = Path(entry["path"])
        if entry["path"] in written and path.suffix != ".json":
            return written[entry["path"]] == entry["md5"] and _same_size(path, entry)
        return now(path) == entry["md5"]

    def holds(stage: Stage) -> bool:
        asked = stage.get("params", {}).get("params.yaml", {})
        files = [*stage.get("outs", ()), *stage.get("deps", ())]
        return asked.items() <= params.items() and all(unchanged(entry) for entry in files)

    return {name for name in names if name in lock and holds(lock[name])}


def _same_size(path: Path, entry: dict[str, Any]) -> bool:
    if path.is_dir():
        return True
    return path.is_file() and path.stat().st_size == entry["size"]


def md5_of(path: Path) -> str | None:
    """MD5 as DVC writes it: of the bytes, or of a folder's sorted list of files; None if absent."""
    if path.is_file():
        return hashlib.md5(path.read_bytes()).hexdigest()
    if not path.is_dir():
        return None
    files = sorted(
        (file.relative_to(path).as_posix(), file)
        for file in path.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    )
    entries = [{"md5": md5_of(file), "relpath": relative} for relative, file in files]
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


def _read() -> dict[str, Stage]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml: ten times as fast
    try:
        content = yaml.load(LOCK.read_text(encoding="utf-8"), Loader=loader)
    except FileNotFoundError:
        return {}
    return content["stages"] if content else {}


# How long each cell will take: what it, or its method's other seeds, took before.


def expected(cells: Sequence[Cell]) -> dict[Cell, float]:
    """Seconds that each cell will take, for those of which anything is known.

    A cell's own wall-clock time here, else its record's training time (in the folder or, when DVC
    has just removed it to make it anew, in the last commit), else the mean of the same method's
    other seeds.
    """
    taken = _taken(cells)
    estimates = {}
    for cell in cells:
        siblings = [s for c, s in taken.items() if _but_seed(c) == _but_seed(cell)]
        if cell in taken:
            estimates[cell] = taken[cell]
        elif siblings:
            estimates[cell] = sum(siblings) / len(siblings)
    return estimates


def phrase(seconds: float) -> str:
    """A duration for people: `40 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _but_seed(cell: Cell) -> tuple[str, str, str]:
    return cell.dataset, cell.protocol, cell.method


def _taken(cells: Sequence[Cell]) -> dict[Cell, float]:
    taken = {}
    without: list[Cell] = []
    for cell in cells:
        seconds = cell_state.read(cell).get("seconds")
        if seconds is None and cell.record.is_file():
            seconds = _training_seconds(cell.record.read_bytes())
        if seconds is None:
            without.append(cell)
        else:
            taken[cell] = seconds
    for cell, record in zip(without, _committed(without)):
        seconds = _training_seconds(record)
        if seconds is not None:
            taken[cell] = seconds
    return taken


def _training_seconds(record: bytes) -> float | None:
    try:
        return float(json.loads(record)["cost"]["train_seconds"])
    except (ValueError, KeyError, TypeError):
        return None


def _committed(cells: Sequence[Cell]) -> list[bytes]:
    """The cells' records as of the last commit, empty where it has none; one call of git."""
    if not cells:
        return []
    names = "".join(f"HEAD:./{cell.record.as_posix()}\n" for cell in cells)
    git = ["git", "cat-file", "--batch"]
    output = subprocess.run(git, input=names.encode(), capture_output=True, check=False).stdout
    records = []
    for _ in cells:
        header, _, output = output.partition(b"\n")  # "<id> blob <size>", or "<name> missing"
        words = header.split()
        size = int(words[2]) if words[1:2] == [b"blob"] else None
        records.append(output[:size] if size else b"")
        output = output[size + 1 :] if size is not None else output
    return records


# `llm4rec status`: how many cells are done, which failed and why, which runs, how long is left.


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
    done = up_to_date(cells, params)
    estimates = expected(list(cells.values()))
    return [_of(cell, name in done, estimates.get(cell)) for name, cell in cells.items()]


def _of(cell: Cell, done: bool, expected: float | None) -> Status:
    if cell_state.is_running(cell):
        elapsed = time.time() - cell_state.read(cell).get("started", time.time())
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
        parts.append(f"about {phrase(sum(known) / max(len(running), 1))} left")
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
            whole = "" if status.expected is None else f" of about {phrase(status.expected)}"
            lines.append(f"  running  {status.cell}: {phrase(status.elapsed)}{whole}")
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
