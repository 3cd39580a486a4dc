"""The shuffle test: a method that reads the order loses, one that does not is unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.studies import order_matters
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.record_reader import read_tests


def test_only_the_order_within_a_history_changes() -> None:
    indptr, items = np.array([0, 40, 80]), np.arange(1, 81)
    held_out = HeldOut(np.array([1, 2]), np.array([90, 91]), indptr, items, np.arange(80), 100)
    random = order_matters.shuffled(held_out, 0)
    assert sorted(random.items[:40]) == list(range(1, 41))
    assert sorted(random.items[40:]) == list(range(41, 81))
    assert (random.items != items).sum() > 60
    assert (random.times == held_out.times).all()


def test_order_matters_to_recency_and_not_to_ease(two_cycles: Path, tmp_path: Path) -> None:
    command = ["--datasets", "two_cycles", "--protocols", "loo", "--results", str(tmp_path)]
    columns = "load_col={inter: [user_id, item_id, timestamp]}"
    command += ["--shuffles", "2", "--options", f"data_path={two_cycles}", columns]
    assert order_matters.main([*command, "--methods", "EASE"]) == 0
    assert order_matters.main([*command, "--methods", "RecencyEASE"]) == 0
    ease, recency = read_tests(tmp_path / "order.json")
    assert (ease.method, recency.method) == ("EASE", "RecencyEASE")
    assert ease.ordered == pytest.approx(ease.shuffled)
    assert recency.low > 0
    assert "| two_cycles, loo | RecencyEASE |" in (tmp_path / "order.md").read_text()


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    assert read_tests(tmp_path / "order.json") == []
    (tmp_path / "order.json").write_text(json.dumps([{"dataset": "x"}]))
    with pytest.raises(InputError, match="not results of the shuffle test"):
        read_tests(tmp_path / "order.json")
