"""Runs a command of this project in a forked process, which costs no new imports.

Every library is imported once, in the parent. A child gets a folder, limits and a deadline, and
leaves its exit status and what it printed.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: Exit statuses by which a command may end: done, a status of its own, bad input, stopped, closed.
EXPECTED = {0, 1, 2, 130, 141, 143}
TIMED_OUT = -signal.SIGALRM
_PIPE = 1 << 20  # bytes that a pipe holds; a command that prints more is stopped by its deadline
_pipes: dict[int, int] = {}  # process → the end of its stderr that is read


@dataclass(frozen=True)
class Outcome:
    """How a command ended. A negative status is the number of the signal that ended it."""

    status: int
    stderr: str

    @property
    def defect(self) -> str:
        """What is wrong with this end; "" for nothing."""
        if self.status == TIMED_OUT:
            return "no end within the deadline"
        if self.status not in EXPECTED:
            return f"exit status {self.status}: {self.stderr.strip()[-300:]}"
        if "Traceback (most recent call last)" in self.stderr:
            return f"a traceback: {self.stderr.strip()[-300:]}"
        return ""


@dataclass
class OutcomeCounts:
    """What was tried and what survived, by kind."""

    tried: dict[str, int] = field(default_factory=dict)
    defects: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, defect: str) -> None:
        self.tried[kind] = self.tried.get(kind, 0) + 1
        if defect:
            self.defects.setdefault(kind, []).append(defect)

    def report(self) -> str:
        """A table in Markdown, and each defect in a line below it."""
        lines = ["| kind | tried | survived |", "|---|---:|---:|"]
        for kind, tried in self.tried.items():
            lines.append(f"| {kind} | {tried} | {tried - len(self.defects.get(kind, []))} |")
        total, failed = self.count, sum(map(len, self.defects.values()))
        lines.append(f"| all | {total} | {total - failed} |")
        for kind, defects in self.defects.items():
            lines += [f"DEFECT {kind}: {defect}" for defect in defects]
        return "\n".join(lines)

    @property
    def count(self) -> int:
        return sum(self.tried.values())

    @property
    def status(self) -> int:
        return int(bool(self.defects))


def numbers(count: int, minutes: float) -> Iterator[int]:
    """0, 1, … up to `count` numbers, for `minutes` at most: a slow machine tries fewer."""
    end = time.monotonic() + 60 * minutes
    return itertools.takewhile(lambda _: time.monotonic() < end, range(count))


def start(
    command: Callable[[], int],
    folder: Path,
    seconds: int = 600,
    limits: Mapping[int, int] | None = None,
    stdout: str = os.devnull,
) -> int:
    """Start `command` in `folder`; returns the process id. `finish` waits for it.

    limits: RLIMIT_… → value. stdout: a file, or "closed".
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()  # a limit on the size of files does not apply to a pipe
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE)
    pid = os.fork()
    if pid:
        os.close(writer)
        _pipes[pid] = reader
        return pid
    status = 99
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
        os.chdir(folder)
        os.dup2(writer, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        # pytest's own sys.stdout and sys.stderr do not write to the descriptors 1 and 2
        sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
        if stdout == "closed":
            os.close(1)
            sys.stdout = None  # type: ignore[assignment]
        else:
            os.dup2(os.open(stdout, os.O_WRONLY | os.O_CREAT, 0o644), 1)
            sys.stdout = os.fdopen(1, "w", closefd=False)
        for limit, value in (limits or {}).items():
            resource.setrlimit(limit, (value, value))
        if resource.RLIMIT_FSIZE in (limits or {}):
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python does at its start
        status = command()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def finish(pid: int) -> Outcome:
    """Wait for the process that `start` returned."""
    _, status = os.waitpid(pid, 0)
    return Outcome(os.waitstatus_to_exitcode(status), _printed(pid))


def _printed(pid: int) -> str:
    """What the process printed to stderr."""
    with open(_pipes.pop(pid), "rb") as pipe:
        return pipe.read(_PIPE).decode(errors="replace")


def run_in(folder: Path, command: Callable[[], int], seconds: int = 600, **options) -> Outcome:
    """`start` and `finish`."""
    return finish(start(command, folder, seconds, **options))


def finish_or_kill(pid: int, after: float, number: int) -> Outcome:
    """Send signal `number` to the process after `after` seconds, unless it has ended."""
    end = time.monotonic() + after
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return Outcome(os.waitstatus_to_exitcode(status), _printed(pid))
        time.sleep(0.002)
    os.kill(pid, number)
    return finish(pid)
