"""Runs one cell for DVC: never twice at once, and a failure stays its own.

    python -m llm4rec_recbole.pipeline.run_cell run_recbole --model=M --dataset=D --protocol=P
    --seed=S

It prints where the pipeline stands, runs the command, and leaves work/failures/<cell>.json if that
fails: {"error": one line}. A DVC that was killed leaves its cell running; the cell of the next DVC
waits for that one and, if code and options are the same, keeps what it wrote.
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

from llm4rec_recbole.evaluation.paths import RESULTS, Cell
from llm4rec_recbole.files import sha256_of, write_json
from llm4rec_recbole.pipeline import cell_state, status
from llm4rec_recbole.pipeline import status as seconds

_STOPPED = (-signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM)


def main(command: Sequence[str]) -> int:
    """Run the cell that `command` names by its options; returns the command's exit code."""
    cell = _cell(command)
    inputs = _inputs(command)
    with cell_state.locked(cell) as (handle, waited_for):
        if waited_for and waited_for.get("inputs") == inputs and _lacking(cell, command) is None:
            print(f"{cell}: done by the process that was waited for", flush=True)
            return 0
        now: cell_state.State = {"pid": os.getpid(), "started": time.time(), "inputs": inputs}
        last = {"seconds": cell_state.read(cell).get("seconds")}
        cell_state.write(handle, now | last)
        statuses = status.read()
        now["expected"] = next((s.expected for s in statuses if s.cell == cell), None)
        cell_state.write(handle, now | last)
        print(_headline(cell, statuses, now["expected"]), flush=True)
        code, error = _run(command, handle)
        if code == 0 and (lacking := _lacking(cell, command)) is not None:
            code, error = 1, f"it ended well but left no {lacking}"
        if code == 0:
            taken = round(time.time() - now["started"], 1)
            cell_state.write(handle, now | {"seconds": taken})
            cell.failure.unlink(missing_ok=True)
            print(f"{cell}: took {seconds.phrase(taken)}", flush=True)
        elif code not in _STOPPED:
            write_json(cell.failure, {"error": error})
    return code if code >= 0 else 128 - code


def _options(command: Sequence[str]) -> dict[str, str]:
    return dict(re.findall(r"^--(\w+)=(.*)$", "\n".join(command), re.MULTILINE))


def _cell(command: Sequence[str]) -> Cell:
    options = _options(command)
    if options["results_dir"] != str(RESULTS):
        raise ValueError(f"the pipeline's results lie in {RESULTS}, not {options['results_dir']}")
    return Cell(options["dataset"], options["protocol"], options["model"], int(options["seed"]))


def _inputs(command: Sequence[str]) -> str:
    """Hash of the command, the code, the property files and the pins."""
    package = Path(__file__).resolve().parents[1]
    files = [*sorted(package.rglob("*.py")), *sorted(Path("properties").rglob("*.yaml"))]
    text = " ".join([*command, sha256_of(*files, "requirements.lock")])
    return hashlib.sha256(text.encode()).hexdigest()


def _lacking(cell: Cell, command: Sequence[str]) -> Path | None:
    """An output that is not there, if any; DVC removed old ones before it started the cell."""
    lacking = [path for path in (cell.record, cell.users) if not path.is_file()]
    folder = _options(command).get("checkpoint_dir")
    if folder is not None and not any(Path(folder).glob("*.safetensors")):
        lacking.append(Path(folder))
    return next(iter(lacking), None)


def _headline(cell: Cell, statuses: list[status.Status], expected: float | None) -> str:
    waiting = sum(s.kind == "waiting" for s in statuses)
    whole = "never timed" if expected is None else f"about {seconds.phrase(expected)}"
    place = f"[{len(statuses) - waiting}/{len(statuses)}]"
    after = "then explanations and tables"  # a few minutes, never timed
    return f"{place} {cell}: {whole}; all cells: {status.remaining(statuses)}, {after}"


def _run(command: Sequence[str], lock: int) -> tuple[int, str]:
    """Run `command`, holding the lock itself; its exit code, and its last line of stderr."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    try:
        run = subprocess.Popen(command, stderr=subprocess.PIPE, pass_fds=[lock], env=environment)
    except OSError as error:
        return 127, f"{command[0]}: {error.strerror}"
    signal.signal(signal.SIGTERM, lambda *_: run.terminate())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the run itself
    assert run.stderr is not None
    tail = bytearray()
    reader = threading.Thread(target=_pass_on, args=(run.stderr, tail), daemon=True)
    reader.start()
    code = run.wait()
    reader.join(timeout=5)  # a grandchild may keep the pipe open
    if code < 0:
        return code, f"killed by {signal.Signals(-code).name}"
    return code, _last_line(tail.decode(errors="replace")) or f"exit code {code}"


def _last_line(text: str) -> str:
    """The last line that says something, without colours and without who says it."""
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[\d;]*m", "", text))
    said = [line.strip() for line in lines if line.strip()]
    return re.sub(r"^(error|run_recbole): ", "", said[-1]) if said else ""


def _pass_on(source: Any, tail: bytearray) -> None:
    """Copy the run's stderr to ours as it comes, progress bars included, and keep its end."""
    target: BinaryIO = sys.stderr.buffer
    while chunk := source.read1(65536):
        target.write(chunk)
        target.flush()
        tail += chunk
        del tail[:-8192]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
