"""Runs beyond the default ones: what is there is kept, what fails is named."""

from __future__ import annotations

import json
import subprocess
from types import SimpleNamespace

import pytest

from benchmarks import wider
from llm4rec_recbole.pipeline.cells import Cell

CELL = Cell("ml-100k", "loo", "Pop", 3)


@pytest.fixture
def commands(monkeypatch):
    """The commands that were run; each fails with two lines."""
    seen = []

    def fail(command, **unused):
        seen.append(command)
        return SimpleNamespace(returncode=2, stderr="warning\nrun_recbole: no such thing\n")

    monkeypatch.setattr(subprocess, "run", fail)
    return seen


def test_a_record_that_is_there_is_not_made_again(tmp_path, commands):
    record = tmp_path / "runs/ml-100k/loo/Pop/seed_3.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    assert wider.run(CELL, tmp_path, tmp_path / "failures", ["--decay=0.8"]) == 0
    assert not commands


def test_a_cell_runs_with_the_options_of_the_pipeline_and_a_failure_is_kept(tmp_path, commands):
    assert wider.run(CELL, tmp_path, tmp_path / "failures", ["--decay=0.8"]) == 2
    (command,) = commands
    assert {"--model=Pop", "--dataset=ml-100k", "--protocol=loo", "--seed=3", "--decay=0.8"} <= {
        *command
    }
    assert f"--results_dir={tmp_path}" in command
    failure = tmp_path / "failures/ml-100k.loo.Pop.seed_3.json"
    assert json.loads(failure.read_text()) == {"error": "run_recbole: no such thing"}
