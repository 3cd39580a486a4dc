"""Two methods compared on the command line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from llm4rec_recbole.cli.run import llm4rec
from llm4rec_recbole.evaluation.metrics import ndcg
from llm4rec_recbole.evaluation.users_file import write_ranks
from tests.helpers.fake_results import add_run, ranks_around


@pytest.fixture
def results(tmp_path):
    for method, middle in (("SASRec", 10), ("BPR", 20)):
        add_run(tmp_path, method, ranks_around(middle))
    add_run(tmp_path, "SASRec", ranks_around(12), protocol="temporal")
    return tmp_path


def rows(text: str) -> dict[tuple[str, str], list[str]]:
    """The words of each row after ranking and metric."""
    lines = [line.split() for line in text.splitlines() if line.startswith(("full", "uni", "pop"))]
    return {(line[0], line[1]): line[2:] for line in lines}


def test_it_prints_the_paired_t_test_of_any_two(results, capsys):
    assert llm4rec(["pair", "BPR", "SASRec", "--results", str(results)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("ml-100k, loo: 60 users; runs: 1 of BPR and 1 of SASRec\n")
    assert "temporal" not in out  # one of them did not run there
    bpr, sasrec = ndcg(ranks_around(20), 10), ndcg(ranks_around(10), 10)
    words = rows(out)["full", "NDCG@10"]
    first, second, difference, low, _, high, p, by_signs, conclusion = words
    assert (float(first), float(second)) == pytest.approx((bpr.mean(), sasrec.mean()), abs=5e-5)
    assert float(difference) == pytest.approx((bpr - sasrec).mean(), abs=5e-5)
    assert float(p) == pytest.approx(ttest_rel(bpr, sasrec).pvalue, rel=0.05)
    assert float(low) < float(difference) < float(high)
    assert float(by_signs) < 0.05
    assert conclusion == "worse"
    assert len(rows(out)) == 8


def test_ranks_alone_are_enough_for_accuracy(results, capsys):
    for users in results.rglob("*.parquet"):
        write_ranks(users, users)
    assert llm4rec(["pair", "BPR", "SASRec", "--results", str(results)]) == 0
    metrics = {metric for _, metric in rows(capsys.readouterr().out)}
    assert metrics == {"HR@10", "NDCG@10"}


def test_what_no_user_of_one_has_is_not_compared(results, capsys):
    add_run(results, "Pop", ranks_around(30), beyond={"novelty@10": None})
    assert llm4rec(["pair", "BPR", "Pop", "--results", str(results)]) == 0
    assert ("full", "Novelty@10") not in rows(capsys.readouterr().out)


@pytest.mark.parametrize("two", [("BPR", "Pop"), ("Pop", "BPR")])
def test_a_user_without_a_value_in_one_counts_in_neither_mean(results, capsys, two):
    add_run(results, "Pop", ranks_around(30))
    (file,) = (results / "users").rglob("Pop/*.parquet")
    users = pd.read_parquet(file)
    users["novelty@10"] = [np.nan, *[0.3] * 59]  # the record's mean
    users.to_parquet(file)
    bpr = pd.read_parquet(next((results / "users").rglob("loo/BPR/*.parquet")))["novelty@10"][1:]
    assert llm4rec(["pair", *two, "--results", str(results)]) == 0
    means = rows(capsys.readouterr().out)["full", "Novelty@10"][:2]
    expected = {"BPR": f"{bpr.mean():.4f}", "Pop": "0.3000"}
    assert means == [expected[method] for method in two]


@pytest.mark.parametrize("two", [("BPR", "GenRec"), ("BPR", "BPR")])
def test_what_did_not_run_is_named_with_what_did(results, capsys, two):
    assert llm4rec(["pair", *two, "--results", str(results)]) == 2
    error = capsys.readouterr().err
    assert "have not both run on one data set (two of BPR, SASRec)" in error
    assert error.count("\n") == 1


def test_a_folder_without_runs_is_refused(tmp_path, capsys):
    assert llm4rec(["pair", "BPR", "SASRec", "--results", str(tmp_path)]) == 2
    assert "(run something)" in capsys.readouterr().err


def test_a_difference_of_nothing_has_p_1(tmp_path, capsys):
    for method in ("BPR", "SASRec"):
        add_run(tmp_path, method, np.arange(60.0))
    assert llm4rec(["pair", "BPR", "SASRec", "--results", str(tmp_path)]) == 0
    words_of = rows(capsys.readouterr().out)
    assert {tuple(words[6:8]) for words in words_of.values()} == {("1", "1")}
    assert words_of["full", "NDCG@10"][8:] == ["equivalent", "within", "0", "%"]
