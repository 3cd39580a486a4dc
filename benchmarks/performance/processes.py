"""Starts workers and reads their answers (workers/protocol.py is the other end)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.performance.environments import python_of

HERE = Path(__file__).resolve().parent


class WorkerFailed(Exception):
    """A worker ended badly or answered no JSON; its own message is on stderr."""


def ask(
    command: list[str | Path], request: dict[str, Any], folder: Path, variables: dict[str, str]
) -> dict[str, Any]:
    """Give `request` to the worker that `command` starts in `folder`; return its answer.

    Raises WorkerFailed when it exits with an error or its last line is no JSON object.
    """
    done = subprocess.run(
        command,
        input=json.dumps(request),
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=variables,
    )
    if done.returncode:
        raise WorkerFailed(f"{command[-1]} ended with status {done.returncode}, see above")
    try:
        answer = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise WorkerFailed(f"{command[-1]} answered no JSON: {done.stdout[:200]!r}") from None
    if not isinstance(answer, dict):
        raise WorkerFailed(f"{command[-1]} answered {answer!r} where an object was expected")
    return answer


class Workers:
    """Asks workers, each in its environment; they run in `folder`, where libraries may litter."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder, self.threads = folder, threads

    def ask(self, environment: str, script: str, **request: Any) -> dict[str, Any]:
        """Run workers/<script>.py in `environment`: `ours`, or one with a requirements file."""
        python = Path(sys.executable) if environment == "ours" else python_of(environment)
        command = [python, HERE / "workers" / f"{script}.py"]
        return ask(command, request, self.folder, self._variables(environment))

    def _variables(self, environment: str) -> dict[str, str]:
        """The caller's, less what would carry one environment's packages into another.

        Compiled modules may be kept: without them every start compiles all it imports again.
        """
        left_out = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}
        variables = {key: value for key, value in os.environ.items() if key not in left_out}
        if environment == "ours":  # so that a checkout need not be installed
            variables["PYTHONPATH"] = str(HERE.parents[1])
        return variables | {
            "OMP_NUM_THREADS": str(self.threads),
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONWARNINGS": "ignore",
        }
