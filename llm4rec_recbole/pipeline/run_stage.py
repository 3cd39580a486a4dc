"""Executes one run for DVC: never twice at once, and a failure stops no other run.

    python -m llm4rec_recbole.pipeline.run_stage COMMAND --model=M --dataset=D …

COMMAND trains; it also gets the option --checkpoint_dir. If it fails, its last line of errors is in
work/failures/<run>.json. A DVC that was killed leaves its run going. The next DVC waits for it and,
if code and options are the same, uses its results.

DVC leaves the outputs in place (`persist`), and this module removes them before COMMAND starts. So
a smoke run that is refused removes no committed record.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from llm4rec_recbole.console import run_command
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.paths import RESULTS, Run
from llm4rec_recbole.files import sha256_of, write_json
from llm4rec_recbole.pipeline import checkpoint
from llm4rec_recbole.pipeline.data_summary import check_against_summary
from llm4rec_recbole.pipeline.status import (
    State,
    estimate_seconds,
    format_duration,
    locked_run,
    write_state,
)

_STOPPED = (-signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM)


def main(command: Sequence[str]) -> int:
    """Execute the run that `command` names by its options; returns the command's exit status."""
    options = checkpoint.options_of(command)
    run = checkpoint.run_of_options(options)
    checkpoint.refuse_smoke(options)
    results, inputs = Path(options["results_dir"]), _inputs(command)
    with locked_run(run) as (handle, waited_for):
        if (
            waited_for
            and waited_for.get("inputs") == inputs
            and _missing_output(run, results) is None
        ):
            print(f"{run}: done by the process that was waited for", flush=True)
            return 0
        now: State = {"pid": os.getpid(), "started": time.time(), "inputs": inputs}
        expected = estimate_seconds([run]).get(run)
        write_state(handle, now if expected is None else now | {"seconds": expected})
        estimate = "never timed" if expected is None else f"about {format_duration(expected)}"
        print(f"{run}: {estimate}", flush=True)
        for path in (run.record(results), run.users(results)):
            path.unlink(missing_ok=True)
        status, error = _train(command, handle, run)
        if status == 0 and (missing := _missing_output(run, results)) is not None:
            status, error = 1, f"the command succeeded but left no {missing}"
        if status == 0:
            seconds = round(time.time() - now["started"], 1)
            write_state(handle, now | {"seconds": seconds})
            run.failure.unlink(missing_ok=True)
            checkpoint.finish_checkpoint(run, run.record(results))
            print(f"{run}: took {format_duration(seconds)}", flush=True)
        elif status not in _STOPPED and results == RESULTS:
            write_json(run.failure, {"error": error})
    return status if status >= 0 else 128 - status


def _train(command: Sequence[str], lock: int, run: Run) -> tuple[int, str]:
    """Check the data, train the references of a sum, then execute `command`.

    Returns its exit status and its last line of errors.
    """
    try:
        check_against_summary(run.dataset)
        if status := checkpoint.ensure_references(command):
            return status, "a reference could not be trained again"
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2, str(error)
    return _execute(checkpoint.with_checkpoints(command, run), lock)


def _inputs(command: Sequence[str]) -> str:
    """Hash of the command, the code, the property files and the pins."""
    package = Path(__file__).resolve().parents[1]
    files = [*sorted(package.rglob("*.py")), *sorted(Path("properties").rglob("*.yaml"))]
    text = " ".join([*command, sha256_of(*files, "requirements.lock")])
    return hashlib.sha256(text.encode()).hexdigest()


def _missing_output(run: Run, results: Path) -> Path | None:
    """The first output that is absent, if any."""
    missing = [path for path in (run.record(results), run.users(results)) if not path.is_file()]
    return next(iter(missing), None)


def _execute(command: Sequence[str], lock: int) -> tuple[int, str]:
    """Execute `command`, which inherits the lock; its exit status, and its last line of stderr."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    try:
        run = subprocess.Popen(command, stderr=subprocess.PIPE, pass_fds=[lock], env=environment)
    except OSError as error:
        return 127, f"{command[0]}: {error.strerror}"
    signal.signal(signal.SIGTERM, lambda *_: run.terminate())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the run itself
    assert run.stderr is not None
    tail = bytearray()
    reader = threading.Thread(target=_forward, args=(run.stderr, tail), daemon=True)
    reader.start()
    status = run.wait()
    reader.join(timeout=5)  # a grandchild may keep the pipe open
    if status < 0:
        return status, f"killed by {signal.Signals(-status).name}"
    return status, _last_line(tail.decode(errors="replace")) or f"exit status {status}"


def _last_line(text: str) -> str:
    """The last line that is not empty, without colours and without the name of the command."""
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[\d;]*m", "", text))
    messages = [line.strip() for line in lines if line.strip()]
    return re.sub(r"^(error|run_recbole): ", "", messages[-1]) if messages else ""


def _forward(source: Any, tail: bytearray) -> None:
    """Copy the run's stderr to ours, progress bars included, and keep its last bytes in `tail`."""
    target: BinaryIO = sys.stderr.buffer
    while chunk := source.read1(65536):
        target.write(chunk)
        target.flush()
        tail += chunk
        del tail[:-8192]


if __name__ == "__main__":
    sys.exit(run_command("run_stage", lambda: main(sys.argv[1:])))
