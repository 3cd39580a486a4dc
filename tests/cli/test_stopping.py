"""Ctrl-C and a reader that has read enough: one line or none, the status that a shell gives it."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm4rec_recbole.cli import run
from llm4rec_recbole.datasets import events, prepare


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def own_arguments(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["llm4rec"])


def test_a_command_that_is_stopped_says_so_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(prepare, "prepare", interrupted)
    assert run.llm4rec(["prepare", "--dataset", "ml-100k"]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_a_run_that_is_stopped_says_so_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(run, "_run", interrupted)
    assert run.run_recbole(["--model=Pop", "--dataset=ml-100k"]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_a_closed_pipe_is_not_an_error():
    steps = [
        "from llm4rec_recbole.cli import run, tables",
        "tables.pair = lambda arguments: print('a table')",
        "raise SystemExit(run.llm4rec(['pair']))",
    ]
    command = [sys.executable, "-c", "; ".join(steps)]
    arguments = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert arguments.stdout is not None
    assert arguments.stderr is not None
    arguments.stdout.close()
    assert arguments.stderr.read() == ""
    assert arguments.wait() == 141


def test_stopping_while_events_are_copied_leaves_nothing_to_complain_later(monkeypatch, tmp_path):
    ignored: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "all.parquet")
    with pytest.raises(KeyboardInterrupt):
        events._copy(tmp_path / "all.parquet", interrupted, tmp_path / "kept.parquet")
    assert not ignored  # pyarrow's writer, closed after its file
    assert [path.name for path in tmp_path.iterdir()] == ["all.parquet"]
