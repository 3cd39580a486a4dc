from __future__ import annotations

import json

import pytest

from benchmarks.performance import speed
from benchmarks.performance.processes import WorkerFailed


@pytest.fixture
def no_environments(monkeypatch):
    monkeypatch.setattr(speed, "python_of", lambda name: None)


def test_what_was_measured_before_a_worker_failed_is_kept(
    no_environments, monkeypatch, tmp_path, capsys
):
    def fail(workers, scale):
        raise WorkerFailed("rectools_peer.py ended with status 1")

    starts = [{"who": who, "seconds": [s], "median": s} for who, s in (("ours", 5.0),)]
    monkeypatch.setitem(speed.PARTS, "start_up", lambda workers, scale: starts)
    monkeypatch.setitem(speed.PARTS, "quality", fail)
    arguments = ["--only", "start_up", "quality", "--output", str(tmp_path)]
    assert speed.main(arguments) == 1
    out = capsys.readouterr()
    assert "quality: rectools_peer.py ended with status 1" in out.err
    assert json.loads((tmp_path / "speed.json").read_text())["start_up"] == starts
    assert (tmp_path / "speed.md").read_text() + "\n" == out.out


@pytest.mark.slow
def test_a_quick_run_measures_every_part(tmp_path):
    assert speed.main(["--quick", "--threads", "1", "--output", str(tmp_path)]) == 0
    measured = json.loads((tmp_path / "speed.json").read_text())
    assert set(speed.PARTS) <= set(measured)
    assert {row["who"] for row in measured["training"]} == {"stock RecBole", "RecTools", "ours"}
