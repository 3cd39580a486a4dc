"""Two processes on CPUs: patched, started by a user's own script, and right in their averages."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

SCRIPT = """
import json, sys
if __name__ == "__main__":  # so a child that runs this file again does not import the package
    import llm4rec_recbole
    from recbole.quick_start import run
    model, processes, port = sys.argv[1:]
    options = dict(epochs=1, load_col=None, show_progress=False, protocol="recbole",
                   metric_decimal_place=12, valid_metric="NDCG@10", state="ERROR")
    answer = run(model, "tiny", config_dict=options, nproc=int(processes), port=port)
    print(json.dumps(answer["test_result"]))
"""


def run(model: str, processes: int) -> dict[str, float]:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    Path("script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py", model, str(processes), port]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


@pytest.fixture
def tiny(write: Callable) -> None:
    random = np.random.default_rng(0)
    rows = [f"{u} | {i}" for u in range(21) for i in random.permutation(30)[: 10 + u % 3]]
    write(inter=["user_id:token | item_id:token", *rows])


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_two_processes_find_what_one_finds() -> None:
    """21 users: one process has 11, the other 10, and a sampler would count one user twice."""
    alone, together = run("EASE", 1), run("EASE", 2)
    assert alone["ndcg@10"] > 0
    assert together == pytest.approx(alone, abs=1e-9)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_two_processes_train_a_model() -> None:
    """One epoch on noise moves little: what this finds is a crash, or parameters of two kinds."""
    alone, together = run("BPR", 1), run("BPR", 2)
    assert together == pytest.approx(alone, abs=0.05)
