"""How a worker talks to the benchmark: a JSON request on stdin, one JSON line back on stdout.

Workers run in environments of their own, so this file imports nothing but the standard library.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any


def peak_gib() -> float:
    """The most memory that this process held. `getrusage` would count what its parent held, too."""
    with open("/proc/self/status") as file:
        kib = next(line for line in file if line.startswith("VmHWM:")).split()[1]
    return round(int(kib) / 2**20, 3)


def serve(tasks: dict[str, Callable[..., dict[str, Any]]], packages: tuple[str, ...]) -> None:
    """Do the task that the request `{"task": name, ...arguments}` names, answer what it returns.

    The answer also says which Python and `packages` it was measured with. Whatever else libraries
    print goes to stderr: stdout carries the answer alone.
    """
    request = json.load(sys.stdin)
    stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    answer = tasks[request.pop("task")](**request)
    versions = {"python": sys.version.split()[0]} | {name: version(name) for name in packages}
    stdout.write(json.dumps(answer | {"versions": versions}) + "\n")
    stdout.close()
