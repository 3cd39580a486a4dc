from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.performance import size
from benchmarks.performance.processes import WorkerFailed
from benchmarks.performance.synthetic_movielens import ITEMS, LEAST, write_movies, write_ratings

LOADED = {"total_seconds": 60.0, "cpu_seconds": 50.0, "peak_gib": 2.0}
STEP = {"n_items": 59_047, "windows": 16, "users": 256, "loaded_gib": 0.5}
STEP |= {"seconds": {"before": 9.0, "training step": 1.0, "evaluation batch": 0.5}}
STEP |= {"peak_gib": 1.25}


class Stub:
    """Answers as the workers do; stock RecBole as `stock` says."""

    def __init__(self, stock=None):
        self.stock, self.tasks = stock, []

    def ask(self, environment, script, task, **request):
        self.tasks.append(task)
        if task == "load":
            if self.stock is None:
                raise WorkerFailed("stock_size.py ended with status -9, see above")
            return self.stock
        if task == "step":
            return STEP
        return LOADED | {"seconds": {task: 60.0}, "cpu_seconds_of_steps": {task: 14.0}}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(size, "WORK", tmp_path / "work")
    monkeypatch.setattr(size, "_write_raw", lambda folder, n_rows: {"rows": n_rows})

    def run(stub, *arguments):
        monkeypatch.setattr(size, "Workers", lambda *given: stub)
        code = size.main(["--output", str(tmp_path / "out"), *arguments])
        return code, (tmp_path / "out" / "size.md").read_text()

    return run


def test_both_processes_of_a_first_start_count(run):
    code, text = run(Stub(), "--rows", str(size.ROWS), "--parts", "ours")
    assert "| 25,000,095 | first start | 120 | 100 | 2 | prepare 14, start 14 |" in text
    assert "| CSV to split (`llm4rec prepare`), CPU s | ≤ 15 | 14: reached |" in text
    assert "| second start, CPU s | ≤ 3 | 50: not reached |" in text
    assert code == 1


def test_the_step_at_which_stock_recbole_stopped_is_reported(run):
    stock = LOADED | {"reached": "the interactions", "stopped": "24 GiB"}
    _, text = run(Stub(stock), "--rows", "1000000", "--parts", "stock")
    assert "stopped at 24 GiB: made the interactions" in text
    _, text = run(Stub(), "--rows", "1000000", "--parts", "stock")
    assert "ended with status -9" in text


def test_a_part_leaves_the_numbers_of_the_others(run, tmp_path):
    run(Stub(), "--rows", "1000000", "5000000", "25000095", "--parts", "ours", "steps")
    stub = Stub(LOADED | {"reached": "the training rows", "stopped": None})
    code, text = run(stub, "--rows", "1000000", "--parts", "stock")
    assert stub.tasks == ["load"]
    assert "made the training rows" in text
    for n_rows in ("1,000,000", "25,000,095"):
        goal = f"EnhancedGenRec, {n_rows} ratings: all up to evaluation, GiB"
        assert f"| {goal} | ≤ 8 | 1.25: reached |" in text
        assert f"| {n_rows} | 59,047 | EnhancedGenRec | 9 | 16 | 1 | 256 | 0.5 | 1.25 (be" in text
    saved = json.loads((tmp_path / "out" / "size.json").read_text())
    assert set(saved["sizes"]["5000000"]) == {"shape", "first start", "second start"}
    assert set(saved["steps"]) == {"1000000", "25000095"}
    assert code == 1  # the 50 s of the second start
    run(Stub(), "--rows", "5000000", "--parts", "steps")
    assert set(json.loads((tmp_path / "out" / "size.json").read_text())["steps"]) == {"5000000"}


def test_made_up_ratings_have_the_shape_of_movielens(tmp_path):
    shape = write_ratings(tmp_path / "ratings.csv", 100_000)
    rows = pd.read_csv(tmp_path / "ratings.csv")
    assert list(rows) == ["userId", "movieId", "rating", "timestamp"]
    assert len(rows) == shape["rows"] == 100_000
    assert not rows.duplicated(["userId", "movieId"]).any()
    assert rows["movieId"].nunique() == shape["items"] == ITEMS
    assert (np.diff(rows["userId"]) >= 0).all()
    assert rows["userId"].value_counts().min() >= LEAST - 5
    assert set(rows["rating"]) == set(np.arange(0.5, 5.5, 0.5))
    with pytest.raises(ValueError, match="cannot give"):
        write_ratings(tmp_path / "few.csv", 1000)


def test_movies_have_titles_and_genres(tmp_path):
    write_movies(tmp_path / "movies.csv")
    movies = pd.read_csv(tmp_path / "movies.csv")
    assert movies["movieId"].tolist() == list(range(1, ITEMS + 1))
    assert movies["title"].str.fullmatch(r"Movie \d+ \(\d{4}\)").all()
    assert movies["genres"].str.count(r"\|").max() == 2
