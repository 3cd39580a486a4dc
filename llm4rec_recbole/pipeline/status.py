"""How far the pipeline is: which runs are done, failed, in progress or waiting, and the time left.

dvc.lock lists, for each finished stage, its command and the MD5 of all files that it read and
wrote. `up_to_date` compares these sums with the files, as `dvc status` does, without importing DVC,
which takes a second.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.paths import Run, read_params, run_stages
from llm4rec_recbole.files import read_json
from llm4rec_recbole.parser import Parser
from llm4rec_recbole.yaml_files import read_yaml

LOCK = Path("dvc.lock")
_LOCK_HINT = "git checkout dvc.lock"
Stage = dict[str, Any]


def up_to_date(names: Iterable[str], params: dict[str, Any]) -> set[str]:
    """The stages among `names` that `dvc repro` would skip; `params` is the content of params.yaml.

    Raises InputError for a damaged dvc.lock.
    """
    now = cache(md5_of)  # most stages read the same files
    lock = _read_lock()

    def unchanged(stage: Stage) -> bool:
        recorded = stage.get("params", {}).get("params.yaml", {})
        files = [*stage.get("outs", ()), *stage.get("deps", ())]
        return recorded.items() <= params.items() and all(
            now(Path(entry["path"])) == entry["md5"] for entry in files
        )

    try:
        return {name for name in names if name in lock and unchanged(lock[name])}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError("not a lock file of DVC", file=LOCK, hint=_LOCK_HINT) from error


def recorded_scales() -> set[str]:
    """The scales of the finished stages. Raises InputError for a damaged dvc.lock."""
    try:
        parameters = [stage.get("params", {}) for stage in _read_lock().values()]
        return {p["params.yaml"]["scale"] for p in parameters if p}
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError("not a lock file of DVC", file=LOCK, hint=_LOCK_HINT) from error


def md5_of(path: Path) -> str | None:
    """MD5 as DVC computes it: of a file, or of a folder's sorted list of files; None if absent."""
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


def _read_lock() -> dict[str, Stage]:
    content = read_yaml(LOCK).values if LOCK.is_file() else {}
    stages = content.get("stages", None if content else {})
    if not isinstance(stages, dict):
        raise InputError("not a lock file of DVC", file=LOCK, hint=_LOCK_HINT)
    return stages


# How long each run will take.


def estimate_seconds(runs: Sequence[Run]) -> dict[Run, float]:
    """Seconds that each run will take. A run without an estimate is left out.

    The estimate is the first of these that exists: the run's wall-clock time on this machine, the
    training time in its record, the mean of the same method's other seeds.
    """
    measured = {run: seconds for run in runs if (seconds := _measured_seconds(run)) is not None}
    of_method: dict[Run, list[float]] = defaultdict(list)  # of all seeds
    for run, seconds in measured.items():
        of_method[replace(run, seed=0)].append(seconds)
    estimates = {}
    for run in runs:
        if timed := [measured[run]] if run in measured else of_method[replace(run, seed=0)]:
            estimates[run] = sum(timed) / len(timed)
    return estimates


def format_duration(seconds: float) -> str:
    """A duration for people: `40 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _measured_seconds(run: Run) -> float | None:
    seconds: float | None = read_state(run).get("seconds")
    if seconds is None and run.record().is_file():
        try:
            seconds = float(json.loads(run.record().read_bytes())["cost"]["train_seconds"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None
    return seconds


# The status of every run.


Kind = Literal["done", "failed", "running", "waiting"]


@dataclass(frozen=True)
class Status:
    """The status of one run."""

    run: Run
    kind: Kind
    error: str = ""  # of a failed run
    elapsed: float = 0.0  # seconds since a run in progress started
    expected: float | None = None  # seconds that the run takes in all; None: never timed


def read() -> list[Status]:
    """The status of every run that params.yaml lists, in its order.

    A run whose code, options or data changed since its record was written is waiting, as it is for
    DVC. A run that is repeated after a failure is running. Raises InputError for a bad params.yaml
    or dvc.lock.
    """
    params = read_params()
    runs = run_stages(params)
    finished = up_to_date(runs, params)
    estimates = estimate_seconds(list(runs.values()))
    return [_status(run, name in finished, estimates.get(run)) for name, run in runs.items()]


def _status(run: Run, is_done: bool, expected: float | None) -> Status:
    if is_running(run):
        elapsed = time.time() - read_state(run).get("started", time.time())
        return Status(run, "running", elapsed=elapsed, expected=expected)
    if is_done:
        return Status(run, "done")
    try:
        note = read_json(run.failure)
    except FileNotFoundError:
        return Status(run, "waiting", expected=expected)
    except InputError as error:
        return Status(run, "failed", error=str(error))
    line = note.get("error") if isinstance(note, dict) else None
    return Status(run, "failed", error=str(line) if line else f"{run.failure} holds no error")


def remaining(statuses: Sequence[Status]) -> str:
    """The time left, as in `about 6 min left, and 2 runs never timed`. Failed runs do not count."""
    running = [s for s in statuses if s.kind == "running"]
    ahead = running + [s for s in statuses if s.kind == "waiting"]
    if not ahead:
        return "nothing left"
    seconds = [max(s.expected - s.elapsed, 0.0) for s in ahead if s.expected is not None]
    untimed = len(ahead) - len(seconds)
    phrases = []
    if seconds:
        phrases.append(f"about {format_duration(sum(seconds) / max(len(running), 1))} left")
    if untimed:
        phrases.append(f"{untimed} run{'s' * (untimed > 1)} never timed")
    return ", and ".join(phrases)


def report(statuses: Sequence[Status]) -> str:
    """The statuses as text: a summary, then a line for each run that is not done."""
    count = {kind: sum(s.kind == kind for s in statuses) for kind in ("done", "failed", "running")}
    lines = [f"{count['done']} of {len(statuses)} runs done"]
    lines[0] += "".join(f", {count[k]} {k}" for k in ("failed", "running") if count[k])
    lines[0] += f"; {remaining(statuses)}"
    for status in statuses:
        if status.kind == "failed":
            lines.append(f"  failed   {status.run}: {status.error}")
        elif status.kind == "running":
            total = (
                "" if status.expected is None else f" of about {format_duration(status.expected)}"
            )
            lines.append(f"  running  {status.run}: {format_duration(status.elapsed)}{total}")
        elif status.kind == "waiting":
            lines.append(f"  waiting  {status.run}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """`llm4rec status`: print the status. Returns 1 if a run failed."""
    description = "Show which runs are done, failed, in progress or waiting, and the time left."
    Parser(description=description).parse_args(argv)
    statuses = read()
    print(report(statuses))
    return int(any(status.kind == "failed" for status in statuses))


# A run's state file: a lock while the run is in progress, and how long earlier attempts took.
#
# The lock (flock) belongs to the open file. The run inherits the file from the process that locked
# it, so the lock is held for as long as either process lives. A kill or a crash releases the lock:
# "running" cannot go stale.


State = dict[str, Any]
"""pid, started (seconds since 1970) and inputs (hash) of the latest attempt;
seconds: wall-clock time of the last attempt that succeeded, or an estimate."""


def read_state(run: Run) -> State:
    """The run's state; empty when there is none, or the file is damaged."""
    try:
        state = json.loads(run.state.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    if not isinstance(state, dict):
        return {}
    return {key: value for key, value in state.items() if key == "inputs" or _is_number(value)}


def is_running(run: Run) -> bool:
    """Whether a process holds the run's lock."""
    try:
        handle = os.open(run.state, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(handle)
    finally:
        os.close(handle)


@contextmanager
def locked_run(run: Run) -> Iterator[tuple[int, State | None]]:
    """Hold the run's lock, and wait first for the process that holds it.

    Yields the file descriptor of the lock, for `write` and to be inherited, and the state of the
    process that was waited for: None without a wait.
    """
    run.state.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(run.state, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        other = None
        if not _try_lock(handle):
            other = read_state(run)
            print(f"{run}: process {other.get('pid')} runs it already; waiting for it", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle, other
    finally:
        os.close(handle)


def write_state(handle: int, state: State) -> None:
    """Replace the state in place, because a rename would leave the lock on the old file.

    A crash during the write damages the file. `read` then returns an empty state, which costs
    nothing but an estimate.
    """
    os.truncate(handle, 0)
    os.pwrite(handle, json.dumps(state).encode(), 0)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False
