from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.performance import processes
from benchmarks.performance.processes import WorkerFailed, Workers, ask

WORKERS = Path(processes.__file__).parent / "workers"

FAKE = """
import os, sys
sys.path.insert(0, {workers!r})
from protocol import serve

def add(a, b):
    print("libraries print what they like")
    os.write(1, b"C code too")
    return {{"sum": a + b, "folder": os.getcwd()}}

serve({{"add": add}}, ("numpy",))
"""


@pytest.fixture
def fake(tmp_path):
    script = tmp_path / "fake.py"
    script.write_text(FAKE.format(workers=str(WORKERS)))
    return [sys.executable, script]


def test_a_worker_answers_its_task_whatever_else_is_printed(fake, tmp_path):
    answer = ask(fake, {"task": "add", "a": 2, "b": 3}, tmp_path, dict(os.environ))
    assert answer["sum"] == 5
    assert answer["folder"] == str(tmp_path)
    assert set(answer["versions"]) == {"python", "numpy"}


def test_a_worker_that_raises_is_named(fake, tmp_path):
    with pytest.raises(WorkerFailed, match=r"fake\.py ended with status 1"):
        ask(fake, {"task": "add", "a": 2, "b": "three"}, tmp_path, dict(os.environ))


@pytest.mark.parametrize("printed", ["", "no JSON", "3", '{"a": 1}\n{"b": 2}'])
def test_an_answer_that_is_not_a_json_object_is_refused(printed, tmp_path):
    with pytest.raises(WorkerFailed, match="answered"):
        ask([sys.executable, "-c", f"print({printed!r})"], {}, tmp_path, {})


def test_no_package_of_one_environment_reaches_another(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", "/packages/of/the/caller")
    seen = {}
    monkeypatch.setattr(processes, "python_of", lambda name: Path(f"{name}/bin/python"))
    monkeypatch.setattr(
        processes, "ask", lambda command, request, folder, variables: seen.update(variables) or {}
    )
    workers = Workers(tmp_path, threads=3)
    workers.ask("recbole", "stock_recbole", task="train")
    assert "PYTHONPATH" not in seen
    assert seen["OMP_NUM_THREADS"] == "3"
    workers.ask("ours", "ours", task="train")
    assert seen["PYTHONPATH"] == str(WORKERS.parents[2])
