"""The fairness curve: its gap is that of (18), and every λ_fair has its row and its point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.studies import fairness_curve
from llm4rec_recbole.errors import InputError

pytestmark = pytest.mark.usefixtures("own_folder", "only_read_options")


def test_the_gap_of_groups_that_differ_and_of_groups_that_do_not() -> None:
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(200), 2)
    groups = np.where(users % 2, 1, 0)
    groups[users >= 190] = -1
    scores = random.normal(size=400) + np.where(users % 2, 10.0, 0.0)
    apart = fairness_curve.parity(scores, groups, users, seed=0)
    assert apart["gap"] == apart["low"] == apart["high"] == 1
    assert apart["by_chance"] < 0.2
    assert apart["mean_scores"][1] - apart["mean_scores"][0] == pytest.approx(10, abs=0.5)
    alike = fairness_curve.parity(random.normal(size=400), groups, users, seed=0)
    assert alike["low"] <= alike["gap"] <= alike["high"]
    assert alike["gap"] < 3 * alike["by_chance"]


def test_each_strength_has_a_row_and_a_point(
    two_cycles: Path,
    tmp_path: Path,
    options: dict[str, Any],
) -> None:
    folder = tmp_path / "two_cycles"
    folder.mkdir()
    (folder / "two_cycles.inter").write_text(
        (two_cycles / "two_cycles" / "two_cycles.inter").read_text()
    )
    users = [f"u{u}\t{'MF'[u % 2]}" for u in range(60)]
    (folder / "two_cycles.user").write_text(
        "\n".join(["user_id:token\tgender:token", *users]) + "\n"
    )
    small = {"llm": "scratch-16x1", "llm_layers": None, "epochs": 1, "batch_targets": 64}
    given = options | small | {"data_path": str(tmp_path)}
    measured = fairness_curve.measure("two_cycles", [0.0, 5.0], "gender", 0, given)
    assert [row["fairness"] for row in measured["curve"]] == [0, 5]
    assert measured["group_sizes"] == [30, 30]
    for where in ("training", "held_out"):
        means = [row[where]["mean_scores"] for row in measured["curve"]]
        assert means[0] != means[1]
    report = fairness_curve.render(measured)
    assert "| 0 | " in report
    assert "| 5 | " in report


def test_groups_that_the_data_do_not_know_are_named(options: dict[str, Any]) -> None:
    small = {"llm": "scratch-16x1", "llm_layers": None, "epochs": 1, "batch_targets": 64}
    with pytest.raises(
        InputError, match=r"fairness_groups is age, which the data set's .user file"
    ):
        fairness_curve.measure("two_cycles", [0.0], "age", 0, options | small)
