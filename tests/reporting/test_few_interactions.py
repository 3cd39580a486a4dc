"""The rows for users and items with few training interactions, from committed ranks and counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.studies.few_interactions import training_counts
from llm4rec_recbole.cli.run import llm4rec
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.reporting.tables.accuracy import COUNTS_FILE
from tests.helpers.fake_results import add_run, ranks_around

TOP = Path(__file__).resolve().parents[2]
USERS = [f"u{number}" for number in range(60)]


def write_counts(folder: Path, users: list[str], few_users: int) -> None:
    """The first `few_users` users have five training interactions; all targets have six."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = [5] * few_users + [6] * (len(users) - few_users)
    frame = {"dataset": "ml-100k", "user": users, "user_interactions": counts}
    pd.DataFrame(frame | {"target_interactions": 6}).to_parquet(folder / COUNTS_FILE)


def rows_of(folder: Path) -> list[list[str]]:
    paths = [f"--{name}={folder / name}" for name in ("results", "other_results", "out")]
    assert llm4rec(["dataset_table", *paths]) == 0
    lines = (folder / "out/few_interactions.md").read_text().splitlines()
    return [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in lines if "|" in line]


def test_each_user_counts_in_the_group_of_the_counts(tmp_path: Path) -> None:
    ranks = ranks_around(9)
    add_run(tmp_path / "results", "SASRec", ranks)
    write_counts(tmp_path / "other_results", USERS[::-1], few_users=20)  # in another order
    (row,) = (row for row in rows_of(tmp_path) if row[0] == "SASRec")
    few = np.arange(60) >= 40
    hits, more = ranks < 10, ~few
    assert [row[1], row[3]] == [f"{hits[few].mean():.3f}", f"{hits[more].mean():.3f}"]
    assert row[5:7] == ["–", "–"]  # no target has at most five
    assert row[7] == f"{hits.mean():.3f}"


def test_counts_of_other_users_are_not_used(tmp_path: Path) -> None:
    add_run(tmp_path / "results", "SASRec", ranks_around(9))
    write_counts(tmp_path / "other_results", [*USERS[:-1], "another"], few_users=1)
    assert not rows_of(tmp_path)
    text = (tmp_path / "out/few_interactions.md").read_text()
    assert "No counts of the test users of ml-100k." in text


def test_training_interactions_are_counted_without_the_held_out_ones(tmp_path: Path) -> None:
    events = [("a", "x", 1), ("a", "y", 2), ("a", "z", 3), ("a", "w", 4), ("b", "z", 1),
              ("b", "y", 2), ("b", "x", 3), ("c", "x", 1), ("c", "y", 2)]  # fmt: skip
    header = "user_id:token\titem_id:token\ttimestamp:float\n"
    inter = tmp_path / "d.inter"
    inter.write_text(header + "".join(f"{u}\t{i}\t{t}\n" for u, i, t in events))
    users = tmp_path / "users.parquet"
    pd.DataFrame({"user": ["b", "a"], "target": ["x", "w"]}).to_parquet(users)
    counts = training_counts(inter, users)
    assert counts.values.tolist() == [["a", 2, 0], ["b", 1, 2]]  # c only trains
    pd.DataFrame({"user": ["b", "a"], "target": ["x", "y"]}).to_parquet(users)
    with pytest.raises(InputError, match="not the split"):
        training_counts(inter, users)


def test_the_committed_counts_fit_the_committed_ranks() -> None:
    text = (TOP / "paper_tables/few_interactions.md").read_text()
    for dataset in ("beauty", "amazon-musical-instruments", "ml-100k"):
        assert f"## {dataset}: of " in text
