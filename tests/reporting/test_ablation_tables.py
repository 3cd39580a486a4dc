"""Tables IV and V."""

from __future__ import annotations

import pytest

from llm4rec_recbole.analysis.paper.paper_tables import ALL_FIVE
from tests.helpers.fake_ablation import add_ablation
from tests.helpers.fake_results import add_failure, add_run, ranks_around
from tests.helpers.generated_tables import (
    compare_and_make_tables,
    make_tables,
    table_csv_rows,
    table_row,
    table_text,
)

FIRST = "EnhancedGenRec without components (paper: GenRec)"


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def test_without_a_run_both_tables_show_the_papers_numbers_and_say_so(results):
    add_run(results, "BPR", ranks_around(9))
    assert compare_and_make_tables(results) == 0
    assert table_row(results, 4, FIRST) == [
        FIRST, "0.534", "0.692", "0.312", "0.401", *["–"] * 7, "not run",
    ]  # fmt: skip
    assert table_row(results, 5, "Synergistic Effect") == [
        "Synergistic Effect", "+0.2%", "+0.1%", "+0.3%", *["–"] * 4, "not run",
    ]  # fmt: skip
    assert "no test" in table_text(results, 4)
    assert "no test" in table_text(results, 5)


def test_a_step_has_its_interval_in_its_row(results):
    add_ablation(results)
    assert compare_and_make_tables(results) == 0
    line = table_csv_rows(results, 4)["+ Adaptive Learning"]
    above = table_csv_rows(results, 4)["+ Explainability"]
    step = float(line["ndcg@10"]) - float(above["ndcg@10"])
    assert float(line["ndcg@10_change"]) == pytest.approx(step, abs=2e-6)
    assert float(line["ndcg@10_change_low"]) < step < float(line["ndcg@10_change_high"])
    assert line["against"] == "EnhancedGenRec_fusion_retrieval_debiasing_explanation"
    shown = table_row(results, 4, "+ Adaptive Learning")[-3]
    assert shown.startswith(f"{step:+.3f} [+0.")
    assert shown.endswith(r"]\*")
    assert table_row(results, 4, FIRST)[-4:-1] == ["–", "–", "–"]


def test_the_last_row_of_table_4_is_the_whole_model_compared_with_the_first(results):
    add_ablation(results)
    assert compare_and_make_tables(results) == 0
    adaptive, full = (
        table_csv_rows(results, 4)[x] for x in ("+ Adaptive Learning", "Full Framework")
    )
    assert adaptive["method"] == ALL_FIVE
    assert full["method"] == "EnhancedGenRec"
    assert full["against"] == "EnhancedGenRec_none"
    assert "SASRec beside the language model, which the paper does not have" in table_text(
        results, 4
    )


def test_table_5_is_in_per_cent_of_the_backbone(results):
    add_ablation(results)
    assert compare_and_make_tables(results) == 0
    part = table_csv_rows(results, 5)["Multimodal Fusion"]
    backbone = float(table_csv_rows(results, 4)[FIRST]["hit@10"])
    gain = 100 * float(part["hit@10_change"]) / backbone
    shown, unit = table_row(results, 5, "Multimodal Fusion")[4].split()[:2]
    assert (float(shown), unit) == (pytest.approx(gain, abs=0.06), "%")
    assert table_csv_rows(results, 5)["Synergistic Effect"]["against"] == "sum of the parts"


def test_a_missing_run_leaves_its_row_its_step_and_the_synergy_empty(results):
    add_ablation(results, "GenRecFusion", "GenRecAdapt")
    assert compare_and_make_tables(results) == 0
    assert table_row(results, 4, "+ Multimodal Fusion")[5:] == [*["–"] * 7, "not run"]
    assert table_row(results, 4, "+ Retrieval Augment.")[-4:] == ["–", "–", "–", "one seed"]
    assert table_row(results, 5, "Synergistic Effect")[4:] == ["–", "–", "–", "–", "not run"]
    assert table_csv_rows(results, 4)["Full Framework"]["against"] == "EnhancedGenRec_none"


def test_a_failed_configuration_says_why(results):
    add_ablation(results, "GenRecDebias")
    add_failure(results.parent / "failures", "GenRecDebias", "out of memory")
    assert compare_and_make_tables(results) == 0
    assert table_row(results, 5, "Causal Debiasing")[-1] == "failed: out of memory"


def test_configurations_of_two_code_versions_are_distinguished(results):
    add_ablation(results)
    add_run(results, "GenRecFusion", ranks_around(9), git_commit="b" * 40)
    assert compare_and_make_tables(results) == 0
    for table in (4, 5):
        assert "The runs differ in git commit: see" in table_text(results, table)


def test_one_seed_beside_several_is_named(results):
    add_ablation(results)
    add_run(results, "GenRecFusion", ranks_around(9), seed=2)
    assert compare_and_make_tables(results) == 0
    assert table_row(results, 4, "+ Multimodal Fusion")[-1] == "2 seeds"
    assert r"One seed: EnhancedGenRec, EnhancedGenRec_fusion" in table_text(results, 4)
    assert "supports no claim" in table_text(results, 4)


def test_the_papers_ablation_appears_only_for_its_own_data_set(results):
    add_run(results, "BPR", ranks_around(9), dataset="yelp-2023")
    assert compare_and_make_tables(results) == 0
    assert table_row(results, 4, "Full Framework")[1:5] == ["–"] * 4


def test_comparisons_from_before_a_configuration_changed_are_refused(results, capsys):
    add_ablation(results)
    assert compare_and_make_tables(results) == 0
    add_run(results, "GenRecExplain", ranks_around(2, seed=9))
    assert make_tables(results) == 2
    assert "comparisons.csv: the comparisons were not made from these" in capsys.readouterr().err


def test_comparisons_of_a_removed_configuration_are_removed(results):
    add_ablation(results)
    assert compare_and_make_tables(results) == 0
    (results / "runs/ml-100k/loo/GenRecExplain/seed_1.json").unlink()
    assert make_tables(results) == 2
