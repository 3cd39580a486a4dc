from __future__ import annotations

import json

import numpy as np
import pytest

from llm4rec_recbole.evaluation.metrics import accuracy
from tests.helpers.fake_results import add_failure, add_run, ranks_around
from tests.helpers.generated_tables import (
    compare_and_make_tables,
    make_tables,
    table_csv_rows,
    table_row,
    table_text,
)

P5 = "P5"
RUNS = {"BPR": 40, "LightGCN": 30, "BERT4Rec": 9, "Pop": 90, "EASE": 18}


@pytest.fixture
def results(tmp_path):
    for method, middle in RUNS.items():
        add_run(tmp_path / "results", method, ranks_around(middle))
    return tmp_path / "results"


def test_rows_are_the_papers_then_the_references(results):
    compare_and_make_tables(results)
    assert list(table_csv_rows(results, 1)) == [
        "GenRec", P5, "RecBole (BPR)", "LightGCN", "BERT4Rec",
        "Ours (EnhancedGenRec)",
        "Pop", "ItemKNN", "EASE", "RecencyEASE", "SLIST", "SASRec",
    ]  # fmt: skip


def test_the_papers_number_and_ours_stand_side_by_side(results):
    compare_and_make_tables(results)
    ours = accuracy(ranks_around(40))
    row = table_row(results, 1, "RecBole (BPR)")
    assert row[1:3] == ["0.645", "0.378"]
    assert row[3].startswith(f"{ours['hit@10']:.3f}")
    assert row[4].startswith(f"{ours['ndcg@10']:.3f}")
    assert table_csv_rows(results, 1)["RecBole (BPR)"]["full_ndcg@10"] == f"{ours['ndcg@10']:.6f}"


def test_the_heading_says_what_data_the_numbers_are_for(results):
    compare_and_make_tables(results)
    heading = "## ml-100k, standing in for the paper's MovieLens-25M; protocol loo, 60 test users"
    assert heading in table_text(results, 1).splitlines()


def test_a_data_set_the_paper_lacks_gets_none_of_its_numbers(tmp_path):
    add_run(tmp_path / "results", "BPR", ranks_around(9), dataset="steam")
    compare_and_make_tables(tmp_path / "results")
    assert "## steam (not in the paper)" in table_text(tmp_path / "results", 1)
    assert table_csv_rows(tmp_path / "results", 1)["RecBole (BPR)"]["paper_hit@10"] == ""


def test_a_method_without_a_run_has_no_number_of_ours(results):
    compare_and_make_tables(results)
    assert table_row(results, 1, P5) == [
        P5,
        "<ins>0.718</ins>",
        "<ins>0.423</ins>",
        *["–"] * 7,
        "not run",
    ]
    assert table_csv_rows(results, 1)[P5]["full_hit@10"] == ""
    assert table_row(results, 1, "SASRec") == ["SASRec", *["–"] * 9, "not run"]


def test_a_failed_run_is_named_with_its_reason(results):
    add_failure(results.parent / "failures", "SASRec", "CUDA out of memory\nat step 3")
    compare_and_make_tables(results)
    assert table_row(results, 1, "SASRec")[-1] == "failed: CUDA out of memory"
    assert table_csv_rows(results, 1)["SASRec"]["status"] == "failed: CUDA out of memory"


def test_where_nothing_but_failures_exist_the_table_names_them(tmp_path):
    (tmp_path / "results").mkdir()
    add_failure(tmp_path / "failures", "BPR", "no disk")
    compare_and_make_tables(tmp_path / "results")
    assert "protocol loo, nothing has run" in table_text(tmp_path / "results", 1)
    assert table_row(tmp_path / "results", 1, "RecBole (BPR)")[-1] == "failed: no disk"


def test_a_failed_seed_beside_others_is_in_the_caption(results):
    add_failure(results.parent / "failures", "BPR", "killed", seed=2)
    add_failure(results.parent / "failures", "EASE", "an old note: seed 1 has a record")
    compare_and_make_tables(results)
    assert table_row(results, 1, "RecBole (BPR)")[-1] == "one seed"
    assert "BPR failed with seed 2 (killed)" in table_text(results, 1)
    assert "old note" not in table_text(results, 1)


def test_best_is_bold_and_second_underlined_in_every_column(results):
    compare_and_make_tables(results)
    best, second = table_row(results, 1, "BERT4Rec"), table_row(results, 1, "EASE")
    assert all(cell.startswith("**") for cell in best[3:9])
    assert all(cell.startswith("<ins>") for cell in second[3:9])
    tex = (results.parent / "out" / "table_1.tex").read_text()
    assert tex.count(r"\textbf{") == 6 + 2  # ours, and the paper's two columns
    assert tex.count(r"\underline{") == 6 + 2


def test_numbers_that_look_equal_are_equally_good(tmp_path):
    one_miss, half = np.zeros(3_000), np.zeros(3_000)
    one_miss[0] = half[::2] = 99
    for method, ranks in (("SASRec", np.zeros(3_000)), ("EASE", one_miss), ("Pop", half)):
        add_run(tmp_path / "results", method, ranks)
    compare_and_make_tables(tmp_path / "results")
    found = {
        method: table_row(tmp_path / "results", 1, method)[3]
        for method in ("SASRec", "EASE", "Pop")
    }
    assert found == {"SASRec": "**1.000**", "EASE": "**1.000**", "Pop": "<ins>0.500</ins>"}


def with_ours(results) -> None:
    add_run(results, "EnhancedGenRec", ranks_around(4))


def test_marks_say_which_rows_differ_from_our_model(results):
    with_ours(results)
    compare_and_make_tables(results)
    assert table_row(results, 1, "RecBole (BPR)")[3].endswith(r"\*")
    assert table_row(results, 1, "EASE")[3].endswith(
        r"\*"
    )  # the reference that is best on validation
    assert "*" not in table_row(results, 1, "Pop")[3]  # another reference: not tested
    assert "*" not in table_row(results, 1, "Ours (EnhancedGenRec)")[3].replace("**", "")
    line = table_csv_rows(results, 1)["RecBole (BPR)"]
    assert float(line["full_hit@10_p_holm"]) < 0.05
    assert line["full_hit@10_compared_with"] == "EnhancedGenRec"
    assert table_csv_rows(results, 1)["Pop"]["full_hit@10_p_holm"] == ""
    assert "Holm-adjusted over the 8 comparisons" in table_text(
        results, 1
    )  # three baselines and EASE
    assert "(ml-100k, loo: EASE)" in table_text(results, 1)


def test_sampled_rankings_have_no_marks(results):
    with_ours(results)
    compare_and_make_tables(results)
    for label in ("RecBole (BPR)", "LightGCN", "BERT4Rec", "EASE"):
        assert not any(cell.endswith(r"\*") for cell in table_row(results, 1, label)[5:9])
    assert "uni100_hit@10_p_holm" not in table_csv_rows(results, 1)["EASE"]


def test_a_method_that_no_table_names_has_its_row_after_the_references_and_marks(results):
    with_ours(results)
    compare_and_make_tables(results)
    before = table_csv_rows(results, 1)
    add_run(results, "MyEASE", ranks_around(1))
    add_run(results, "A [model](x)", ranks_around(70))
    assert compare_and_make_tables(results) == 0
    rows = table_csv_rows(results, 1)
    assert [*rows][-3:] == ["SASRec", "A [model](x)", "MyEASE"]
    assert table_row(results, 1, "MyEASE")[3].startswith("**")
    assert table_row(results, 1, "MyEASE")[3].endswith(r"\*")
    assert rows["MyEASE"]["full_hit@10_compared_with"] == "BERT4Rec"  # the best on validation
    assert {label: rows[label] for label in before} == before
    assert "at a method of your own: differs from" in table_text(results, 1)


def test_the_caption_has_the_smallest_detectable_difference(results):
    with_ours(results)
    compare_and_make_tables(results)
    assert (
        "with 60 users, one test at the 5 % level has 80 % power for a full-ranking"
        in table_text(results, 1)
    )


def test_the_table_follows_the_users_files(results):
    compare_and_make_tables(results)
    before = table_csv_rows(results, 1)["EASE"]["full_hit@10"]
    add_run(results, "EASE", ranks_around(40, seed=1))
    compare_and_make_tables(results)
    after = table_csv_rows(results, 1)["EASE"]["full_hit@10"]
    assert float(after) == pytest.approx(accuracy(ranks_around(40, seed=1))["hit@10"], abs=1e-6)
    assert before != after


def test_a_record_cannot_change_the_table_by_itself(results, capsys):
    compare_and_make_tables(results)
    before = table_text(results, 1)
    path = results / "runs/ml-100k/loo/EASE/seed_1.json"
    record = json.loads(path.read_text())
    record["metrics"]["test"]["full"]["hit@10"] = 0.99
    path.write_text(json.dumps(record))
    capsys.readouterr()
    assert make_tables(results) == 2
    message = capsys.readouterr().err
    assert "EASE/seed_1.json" in message
    assert "EASE/seed_1.parquet" in message
    assert table_text(results, 1) == before


@pytest.mark.parametrize("method", ["EASE", "EnhancedGenRec", "BERT4Rec"])
def test_comparisons_from_before_a_run_changed_are_refused(results, method, capsys):
    with_ours(results)
    compare_and_make_tables(results)
    add_run(results, method, ranks_around(2, seed=99))
    assert make_tables(results) == 2
    assert "comparisons.csv: the comparisons were not made from these" in capsys.readouterr().err


def test_comparisons_from_before_a_run_was_removed_are_refused(results):
    with_ours(results)
    compare_and_make_tables(results)
    (results / "runs/ml-100k/loo/BPR/seed_1.json").unlink()
    assert make_tables(results) == 2


def test_comparisons_from_before_a_data_set_was_removed_are_refused(results):
    for method in ("EnhancedGenRec", "EASE"):
        add_run(results, method, ranks_around(9), dataset="steam")
    compare_and_make_tables(results)
    for method in ("EnhancedGenRec", "EASE"):
        (results / f"runs/steam/loo/{method}/seed_1.json").unlink()
    assert make_tables(results) == 2


def test_without_comparisons_it_says_what_to_run(results, capsys):
    assert make_tables(results) == 2
    assert "llm4rec compare" in capsys.readouterr().err


def test_without_any_run_it_says_so(tmp_path, capsys):
    assert make_tables(tmp_path) == 2
    assert "there are no run records" in capsys.readouterr().err


def test_one_seed_says_that_the_spread_is_unknown(results):
    compare_and_make_tables(results)
    assert table_row(results, 1, "EASE")[-1] == "deterministic"
    assert table_row(results, 1, "BERT4Rec")[-1] == "one seed"
    assert "One seed: BERT4Rec, BPR, LightGCN." in table_text(results, 1)


def test_several_seeds_are_averaged_and_counted(results):
    for seed in (2, 3):
        add_run(results, "BPR", ranks_around(40, seed=seed), seed=seed)
    compare_and_make_tables(results)
    seeds = [accuracy(ranks_around(40, seed=s))["hit@10"] for s in (0, 2, 3)]
    assert table_row(results, 1, "RecBole (BPR)")[-1] == "3 seeds"
    row = table_csv_rows(results, 1)["RecBole (BPR)"]
    assert (row["seeds"], float(row["full_hit@10"])) == (
        "3",
        pytest.approx(np.mean(seeds), abs=1e-6),
    )
    assert "One seed: BERT4Rec, LightGCN." in table_text(results, 1)


def test_mixed_versions_are_in_the_caption(results):
    compare_and_make_tables(results)
    assert "The runs differ" not in table_text(results, 1)
    add_run(results, "EASE", ranks_around(18), git_commit="b" * 40 + "-dirty")
    compare_and_make_tables(results)
    assert "The runs differ in git commit: see Every run" in table_text(results, 1)
    add_run(results, "Pop", ranks_around(90), lock_sha256="f" * 64, data_sha256="0" * 64)
    compare_and_make_tables(results)
    text = table_text(results, 1)
    assert "The runs differ in git commit and packages and data: see Every run" in text


def test_each_protocol_has_a_section_of_its_own(results):
    add_run(results, "BPR", ranks_around(10), protocol="temporal")
    compare_and_make_tables(results)
    assert "protocol temporal, 60 test users" in table_text(results, 1)


def test_latex_rows_have_as_many_cells_as_columns(results):
    compare_and_make_tables(results)
    tex = (results.parent / "out" / "table_1.tex").read_text()
    body = tex.split(r"\midrule")[1].splitlines()
    rows = [line for line in body if line.endswith(r"\\") and "multicolumn" not in line]
    assert len(rows) == 12
    assert {line.count(" & ") for line in rows} == {10}


def test_the_caption_names_a_method_that_learned_from_validation_items(results):
    compare_and_make_tables(results)
    assert "validation item" not in table_text(results, 1)
    add_run(results, "EnhancedGenRec", ranks_around(8))
    compare_and_make_tables(results)
    assert "fifth component also learns from validation items" in table_text(results, 1)
