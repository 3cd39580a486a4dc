"""A run's state file: a lock while the run is in progress, and how long earlier attempts took.

The lock (flock) belongs to the open file. The run inherits the file from the process that locked
it, so the lock is held for as long as either process lives. A kill or a crash releases the lock:
"running" cannot go stale.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llm4rec_recbole.evaluation.paths import Run

State = dict[str, Any]
"""pid, started (seconds since 1970) and inputs (hash) of the latest attempt;
seconds: wall-clock time of the last attempt that succeeded, or an estimate."""


def read(run: Run) -> State:
    """The run's state; empty when there is none, or the file is damaged."""
    try:
        return _parse(run.state.read_bytes())
    except FileNotFoundError:
        return {}


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
def locked(run: Run) -> Iterator[tuple[int, State | None]]:
    """Hold the run's lock, and wait first for the process that holds it.

    Yields the file descriptor of the lock, for `write` and to be inherited, and the state of the
    process that was waited for: None without a wait.
    """
    run.state.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(run.state, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        other = None
        if not _try_lock(handle):
            other = read(run)
            print(f"{run}: process {other.get('pid')} runs it already; waiting for it", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle, other
    finally:
        os.close(handle)


def write(handle: int, state: State) -> None:
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


def _parse(content: bytes) -> State:
    try:
        state = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(state, dict):
        return {}
    return {key: value for key, value in state.items() if key == "inputs" or _is_number(value)}


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False
