"""Comparisons that were made from other runs are refused, whichever table they are of."""

from __future__ import annotations

import csv

import pytest

from llm4rec_recbole.cli import tables
from tests.helpers.fake_ablation import add_ablation
from tests.helpers.fake_results import add_run, ranks_around
from tests.helpers.generated_tables import make_tables


@pytest.fixture
def results(tmp_path):
    add_ablation(tmp_path / "results")
    for number, method in enumerate(("BPR", "LightGCN", "EASE")):
        beyond = {"novelty@10": 0.1 * (number + 1), "coverage@100": 0.2 * (number + 1)}
        add_run(tmp_path / "results", method, ranks_around(20 + number), beyond=beyond)
    assert tables.compare(["--results", str(tmp_path / "results")]) == 0
    return tmp_path / "results"


def change(results, table: str, metric: str, new: str | None) -> None:
    """Give the first comparison of `metric` another difference; None takes it out."""
    path = results / "comparisons.csv"
    lines = list(csv.DictReader(path.read_text().splitlines()))
    place = next(n for n, x in enumerate(lines) if (x["table"], x["metric"]) == (table, metric))
    if new is None:
        del lines[place]
    else:
        lines[place]["difference"] = new
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)


@pytest.mark.parametrize(
    ("table", "metric"),
    [
        ("table_1", "ndcg@10"),
        ("table_2", "novelty@10"),
        ("table_2", "coverage@100"),
        ("table_4", "ndcg@10"),
        ("table_5", "ndcg@10"),
    ],
)
def test_another_difference_is_refused(results, capsys, table, metric):
    assert make_tables(results) == 0
    change(results, table, metric, "0.5")
    assert make_tables(results) == 2
    assert "the comparisons were not made from these users files" in capsys.readouterr().err


@pytest.mark.parametrize("metric", ["novelty@10", "intra_list_diversity@10"])
def test_a_comparison_of_users_that_lacks_is_refused(results, metric):
    change(results, "table_2", metric, None)
    assert make_tables(results) == 2


def test_a_run_that_was_not_tested_is_named_in_the_caption(results):
    change(results, "table_2", "coverage@100", None)
    assert make_tables(results) == 0
    text = (results.parent / "out/table_2.md").read_text()
    (line,) = (x for x in text.splitlines() if "Not tested" in x)
    assert line == ("- Not tested: ml-100k, loo: Cov@100 of BPR; ml-100k, loo: Fairness@10.")
