"""Table I over data sets: whose runs stand in which columns."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from llm4rec_recbole.cli.run import llm4rec
from tests.helpers.fake_results import add_run, ranks_around, unescaped

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture
def made(tmp_path):
    """Runs on ml-100k of `make repro`, on beauty beside them, and others that do not count."""
    results, others = tmp_path / "results", tmp_path / "others"
    add_run(results, "BPR", ranks_around(20), seed=1)
    add_run(results, "BPR", ranks_around(4), seed=2)
    add_run(results, "SASRec", ranks_around(9))
    add_run(results, "EnhancedGenRec_none", ranks_around(1))  # no method of Table I
    add_run(results, "BPR", ranks_around(1), dataset="beauty", protocol="temporal")
    add_run(others / "beauty", "SASRec", ranks_around(30), dataset="beauty")
    add_run(others / "seeds", "SASRec", ranks_around(1))  # a second look at ml-100k
    add_run(others / "seeds", "SASRec", ranks_around(1), dataset="yelp-2023")

    def make() -> dict[tuple[str, str], dict[str, str]]:
        paths = [
            "--results",
            str(results),
            "--other_results",
            str(others),
            "--out",
            str(tmp_path / "out"),
        ]
        assert llm4rec(["dataset_table", *paths]) == 0
        text = (tmp_path / "out/table_1_data_sets.csv").read_text()
        return {(x["dataset"], x["method"]): x for x in csv.DictReader(text.splitlines())}

    return make


def hits(*ranks) -> str:
    return f"{sum((r < 10).mean() for r in ranks) / len(ranks):.6f}"


def test_each_data_set_has_the_runs_of_its_own_folder(made):
    found = made()
    assert set(found) == {("ml-100k", "BPR"), ("ml-100k", "SASRec"), ("beauty", "SASRec")}
    assert found["beauty", "SASRec"]["hit@10"] == hits(ranks_around(30))
    assert found["ml-100k", "SASRec"]["hit@10"] == hits(ranks_around(9))
    assert found["ml-100k", "BPR"]["hit@10"] == hits(ranks_around(20), ranks_around(4))
    assert found["ml-100k", "BPR"]["seeds"] == "2"
    assert found["beauty", "SASRec"]["folder"].endswith("others/beauty")


def test_folders_are_named_as_seen_from_the_working_folder(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert made()["beauty", "SASRec"]["folder"] == "others/beauty"
    text = (tmp_path / "out/table_1_data_sets.md").read_text()
    assert "beauty: others/beauty" in text
    assert str(tmp_path) not in text


def test_the_committed_table_names_folders_of_the_project():
    text = (TOP / "paper_tables/table_1_data_sets.csv").read_text()
    folders = {row["folder"] for row in csv.DictReader(text.splitlines())}
    assert [f for f in folders if Path(f).is_absolute() or not (TOP / f / "runs").is_dir()] == []


def test_what_has_not_run_is_a_dash_and_several_seeds_are_counted(made, tmp_path):
    made()
    text = unescaped((tmp_path / "out/table_1_data_sets.md").read_text())
    header = "| Method | ml-100k HR@10 | ml-100k NDCG@10 | beauty HR@10 | beauty NDCG@10 |"
    assert header in text
    (bpr,) = (line for line in text.splitlines() if line.startswith("| RecBole (BPR) |"))
    assert bpr.endswith("| – | – | – | – |")
    assert "Mean ± standard deviation over seeds: BPR on ml-100k: 2; else one seed." in text


def test_a_data_set_of_make_repro_is_not_taken_from_elsewhere(made, tmp_path):
    add_run(tmp_path / "results", "Pop", ranks_around(50), dataset="beauty")
    assert ("beauty", "SASRec") not in made()


def test_a_bad_record_is_named_and_the_old_table_stays(made, tmp_path, capsys):
    made()
    before = (tmp_path / "out/table_1_data_sets.md").read_text()
    (tmp_path / "others/beauty/runs/beauty/loo/SASRec/seed_1.json").write_text("{")
    paths = ["--results", str(tmp_path / "results"), "--other_results", str(tmp_path / "others")]
    assert llm4rec(["dataset_table", *paths, "--out", str(tmp_path / "out")]) == 2
    assert "seed_1.json:1: not JSON" in capsys.readouterr().err
    assert (tmp_path / "out/table_1_data_sets.md").read_text() == before


def test_a_method_that_no_table_names_has_its_row_after_the_references(made, tmp_path):
    add_run(tmp_path / "results", "MyEASE", ranks_around(2))
    assert made()["ml-100k", "MyEASE"]["hit@10"] == hits(ranks_around(2))
    lines = (tmp_path / "out/table_1_data_sets.md").read_text().splitlines()
    names = [line.split(" | ")[0] for line in lines if line.startswith("| ")]
    assert names[names.index("| SASRec") + 1 :][:2] == ["| **Other methods**", "| MyEASE"]


def test_the_answer_has_the_gain_and_the_seeds_of_each_data_set(made, tmp_path):
    made()
    answer = tmp_path / "out/answer_data_sets.md"
    assert "No data set has runs of EnhancedGenRec" in answer.read_text()
    for seed in (1, 2):
        add_run(tmp_path / "results", "EnhancedGenRec", ranks_around(3), seed=seed)
    add_run(tmp_path / "others/beauty", "EnhancedGenRec", ranks_around(12), dataset="beauty")
    made()
    (line,) = unescaped(answer.read_text()).splitlines()  # beauty has no baseline of the paper
    pattern = (
        r"- Gain in test NDCG@10 over the best reference or null, chosen on validation: "
        r"ml-100k \+[\d.]+ % \(SASRec; 2 seeds\), beauty \+[\d.]+ % \(SASRec; one seed\)\. "
        r"Pooled: \S+ % \[\S+, .+\], p [\d.]+\."
    )
    assert re.fullmatch(pattern, line), line
