"""A cell's state file: a lock while it runs, and what its last runs took.

The lock (flock) belongs to the open file, and the run inherits it from the process that took it:
it is held for as long as either lives, and a kill or a crash releases it. So "running" cannot go
stale, unlike a note that says so.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llm4rec_recbole.evaluation.paths import Cell

State = dict[str, Any]
"""pid, started (seconds since 1970), inputs (hash) and expected (seconds) of the latest run;
seconds: wall-clock time of the last run that succeeded."""


def read(cell: Cell) -> State:
    """The cell's state; empty when it has none, or a crash tore the file."""
    try:
        return _parse(cell.state.read_bytes())
    except FileNotFoundError:
        return {}


def is_running(cell: Cell) -> bool:
    """Whether a process holds the cell's lock."""
    try:
        handle = os.open(cell.state, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(cell: Cell) -> Iterator[tuple[int, State | None]]:
    """Hold the cell's lock, waiting for whoever holds it now.

    Yields the file descriptor of the lock, for `write` and to be inherited, and the state of the
    run that was waited for, None without a wait.
    """
    cell.state.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(cell.state, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        other = None
        if not _try_lock(handle):
            other = read(cell)
            print(f"{cell}: process {other.get('pid')} runs it already; waiting for it", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle, other
    finally:
        os.close(handle)


def write(handle: int, state: State) -> None:
    """Replace the state in place: a rename would leave the lock on the old file.

    A crash half-way tears the file, which `read` takes for none; it holds nothing but estimates.
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
        return json.loads(content)
    except ValueError:
        return {}
