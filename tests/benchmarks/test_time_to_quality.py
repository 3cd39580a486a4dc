"""The page of seconds to a validation accuracy, from curves that were not measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.performance import time_to_quality
from benchmarks.performance.time_to_quality import comparison, render, write_validation

VERSIONS = {"versions": {"torch": "2"}}


def curve(*points: tuple[float, float]) -> list[dict[str, float]]:
    return [
        {"epoch": n, "steps": 10 * n, "cpu_seconds": seconds, "valid": valid}
        for n, (seconds, valid) in enumerate(points, 1)
    ]


@pytest.mark.parametrize(
    ("peer", "ours", "row"),
    [
        # The peer is below our best when it is stopped: it needs more than 60 s to any later value.
        (
            [(30, 0.01), (60, 0.02)],
            [(5, 0.01), (10, 0.02), (16, 0.03)],
            ["0.0200", "60", "10", "6.0 ×", "3.8 ×: yes"],
        ),
        (
            [(30, 0.01), (60, 0.02)],
            [(5, 0.01), (10, 0.02), (30, 0.03)],
            ["0.0200", "60", "10", "6.0 ×", "2.0 ×: not shown"],
        ),
        # Our best value is lower: the peer reaches it at its first look.
        (
            [(30, 0.05), (60, 0.06)],
            [(5, 0.01), (20, 0.03)],
            ["0.0300", "30", "20", "1.5 ×", "1.5 ×: not shown"],
        ),
    ],
)
def test_both_are_compared_at_the_lower_of_their_best(peer: Any, ours: Any, row: list[str]) -> None:
    assert comparison(curve(*peer), curve(*ours)) == row


def test_the_page_has_every_curve_and_each_peer_beside_ours() -> None:
    peer = {"curve": [{"steps": 5, "cpu_seconds": 30.0, "valid": 0.02}], "steps_per_epoch": 10}
    runs = {
        "ours, SASRec": {"curve": [{"epoch": 2, "cpu_seconds": 8.0, "valid": 0.03}]} | VERSIONS,
        "RecTools, SASRec, 64 numbers": peer | VERSIONS,
    }
    page = render({"runs": runs, "date": "today", "machine": "a CPU", "load": 1.0})
    assert "| SASRec, 64 numbers | 0.0200 | 30 | 8 | 3.8 × | 3.8 ×: yes |" in page
    assert "| RecTools, SASRec, 64 numbers | 30 | 0.50 | 0.0200 |" in page
    assert "| ours, SASRec | 8 | 2 | 0.0300 |" in page
    assert "published options |" not in page  # not measured


def test_rectools_is_given_what_trains_and_the_validation_items(tmp_path: Path) -> None:
    inter = tmp_path / "x.inter"
    rows = [f"u{user}\ti{user + k}\t{k}" for user in range(2) for k in range(4)]
    header = "user_id:token\titem_id:token\ttimestamp:float"
    inter.write_text("\n".join([header, *rows]) + "\n")
    write_validation(inter, tmp_path / "x.npz")
    arrays = np.load(tmp_path / "x.npz")
    assert arrays["train_items"].tolist() == [1, 2, 2, 3]  # the first two of each user
    assert arrays["targets"].tolist() == [3, 4]  # the last but one


def test_a_run_that_the_file_has_is_not_repeated(tmp_path: Path, monkeypatch: Any) -> None:
    calls = []

    def run(name: str) -> Any:
        def measured() -> dict[str, Any]:
            calls.append(name)
            return {"curve": [{"epoch": 1, "cpu_seconds": 1.0, "valid": 0.1}], **VERSIONS}

        return measured

    names = ["ours, SASRec", "ours, BERT4Rec"]
    monkeypatch.setattr(time_to_quality, "_runs", lambda *given: {n: run(n) for n in names})
    words = ["--output", str(tmp_path)]
    time_to_quality.main([*words, "--only", "ours, BERT4Rec"])
    time_to_quality.main(words)
    assert calls == ["ours, BERT4Rec", "ours, SASRec"]
