from __future__ import annotations

import csv
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from llm4rec_recbole.analysis.compare import compare
from llm4rec_recbole.analysis.paired_tests import read_comparisons, write_comparisons
from llm4rec_recbole.analysis.significance import users_and_seeds
from llm4rec_recbole.cli.run import llm4rec
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.metrics import ndcg
from tests.helpers.fake_results import add_run, ranks_around


@pytest.fixture
def results(tmp_path):
    for method, middle in (("Pop", 60), ("EASE", 9), ("BPR", 25), ("EnhancedGenRec", 4)):
        add_run(tmp_path, method, ranks_around(middle, seed=middle))
    return tmp_path


def pairs(results, table: str = "table_1", metric: str = "ndcg@10") -> list[tuple[str, str]]:
    return [(c.method, c.baseline) for c in compare(results) if (c.table, c.metric) ==
            (table, metric)]  # fmt: skip


def test_our_model_is_compared_with_the_papers_baselines_and_the_best_reference(results):
    for method in ("GenRec", "P5", "LightGCN", "BERT4Rec", "SASRec"):
        add_run(results, method, ranks_around(12, seed=1))
    five = ("GenRec", "P5", "BPR", "LightGCN", "BERT4Rec")
    assert pairs(results) == [("EnhancedGenRec", other) for other in (*five, "EASE")]


def test_the_best_reference_is_chosen_on_validation_not_on_test(results):
    add_run(results, "Pop", ranks_around(60, seed=60), valid=0.9)  # the worst on test
    assert pairs(results)[-1] == ("EnhancedGenRec", "Pop")


def test_seeds_are_averaged_before_the_best_reference_is_chosen(results):
    add_run(results, "SASRec", ranks_around(9), valid=1.0)
    add_run(results, "SASRec", ranks_around(9), valid=0.0, seed=2)
    add_run(results, "EASE", ranks_around(9, seed=9), valid=0.6)
    assert pairs(results)[-1] == ("EnhancedGenRec", "EASE")


def test_a_reference_without_validation_is_not_chosen(results):
    add_run(results, "EASE", ranks_around(9, seed=9), valid=None)
    assert pairs(results)[-1] == ("EnhancedGenRec", "Pop")
    add_run(results, "Pop", ranks_around(60, seed=60), valid=None)
    assert pairs(results) == [("EnhancedGenRec", "BPR")]


def test_sampled_rankings_are_not_tested(results):
    assert {c.ranking for c in compare(results)} == {"full"}


def test_a_comparison_holds_the_paired_t_test_of_the_users_files(results):
    (row,) = (
        c
        for c in compare(results)
        if (c.table, c.metric, c.baseline) == ("table_1", "ndcg@10", "BPR")
    )
    first, second = ndcg(ranks_around(4, seed=4), 10), ndcg(ranks_around(25, seed=25), 10)
    assert row.p_t == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert row.difference == pytest.approx((first - second).mean())
    assert row.d == pytest.approx((first - second).mean() / (first - second).std(ddof=1))
    assert row.low < row.difference < row.high
    assert row.users == 60


def test_users_are_paired_by_name_not_by_row(results):
    before = compare(results)
    names = [f"u{i}" for i in range(60)][::-1]
    add_run(results, "BPR", ranks_around(25, seed=25)[::-1].copy(), users=names)
    assert compare(results) == before


def test_holm_runs_over_both_metrics_and_all_settings_of_the_table(results):
    add_run(results, "EnhancedGenRec", ranks_around(7), protocol="temporal")
    add_run(results, "BPR", ranks_around(9), protocol="temporal")
    rows = [c for c in compare(results) if c.table == "table_1"]
    assert len(rows) == 2 * 2 + 2
    smallest = min(rows, key=lambda c: c.p_t)
    assert smallest.p_holm == pytest.approx(min(1, smallest.p_t * len(rows)))


def beyond(results, metric: str) -> dict[str, object]:
    return {c.baseline: c for c in compare(results) if (c.table, c.metric) == ("table_2", metric)}


def test_diversity_and_novelty_of_each_users_list_are_compared_too(results):
    add_run(results, "BPR", ranks_around(25, seed=25), beyond={"novelty@10": 0.5})
    row = beyond(results, "novelty@10")["BPR"]
    assert (row.method, row.ranking, row.users) == ("EnhancedGenRec", "full", 60)
    assert row.difference == pytest.approx(0.3 - 0.5)
    assert row.p_holm < 0.05
    assert {c.metric for c in compare(results) if c.table == "table_2"} == {
        "intra_list_diversity@10", "novelty@10", "coverage@100",
    }  # fmt: skip


def test_holm_runs_over_each_table_by_itself(results):
    add_run(results, "BPR", ranks_around(25, seed=25), beyond={"novelty@10": 0.9})
    rows = [c for c in compare(results) if c.table == "table_2"]
    smallest = min(rows, key=lambda c: c.p_t)
    assert len(rows) == 2 * 3
    assert smallest.p_holm == pytest.approx(smallest.p_t * 6)


def test_a_metric_without_values_is_not_compared(results):
    for method in ("Pop", "EASE", "BPR", "EnhancedGenRec"):
        add_run(results, method, ranks_around(9), beyond={"intra_list_diversity@10": None})
    assert beyond(results, "intra_list_diversity@10") == {}
    assert len(beyond(results, "novelty@10")) == 2


def test_users_without_a_value_are_left_out_of_that_column_only(results):
    path = results / "users/ml-100k/loo/BPR/seed_1.parquet"
    users = pd.read_parquet(path)
    column = users["intra_list_diversity@10"]
    column[:20] = np.nan
    column[20:] += 0.7 - column[20:].mean()
    users.assign(**{"intra_list_diversity@10": column}).to_parquet(path)
    assert {c.users for c in beyond(results, "intra_list_diversity@10").values()} == {40}
    assert {c.users for c in beyond(results, "novelty@10").values()} == {60}


def test_a_record_that_disagrees_with_its_users_file_on_novelty_is_refused(results):
    path = results / "users/ml-100k/loo/BPR/seed_1.parquet"
    users = pd.read_parquet(path)
    for novelty in (users["novelty@10"] + 0.1, np.nan):
        users.assign(**{"novelty@10": novelty}).to_parquet(path)
        with pytest.raises(InputError, match=r"novelty@10 is 0\.3, but"):
            compare(results)


def test_a_method_that_no_table_names_is_compared_with_the_best_baseline(results):
    add_run(results, "BPR", ranks_around(25, seed=25), valid=0.8)
    add_run(results, "MyEASE", ranks_around(1))
    assert pairs(results, "table_1_further") == [("MyEASE", "BPR")]
    assert pairs(results, "table_2_further", "novelty@10") == [("MyEASE", "BPR")]


def test_a_method_that_no_table_names_changes_nothing_else(results):
    before = compare(results)
    add_run(results, "MyEASE", ranks_around(1), valid=0.99)
    add_run(results, "Another/of mine".replace("/", " "), ranks_around(2))
    after = compare(results)
    assert [c for c in after if not c.table.endswith("_further")] == before
    further = [c for c in after if c.table == "table_1_further"]
    assert {c.method for c in further} == {"Another of mine", "MyEASE"}
    smallest = min(further, key=lambda c: c.p_t)
    assert smallest.p_holm == pytest.approx(min(1, smallest.p_t * len(further)))


def test_a_difference_without_spread_is_a_finite_number(results):
    add_run(results, "MyEASE", np.zeros(60))
    add_run(results, "EASE", np.full(60, 99.0), valid=0.9)
    (row,) = (c for c in compare(results) if (c.table, c.metric) == ("table_1_further", "hit@10"))
    assert row.difference == 1
    assert row.d == 1e6


def test_one_method_alone_is_compared_with_nothing(tmp_path):
    add_run(tmp_path, "Pop", ranks_around(60))
    assert compare(tmp_path) == []


def test_one_test_user_is_too_few(tmp_path):
    add_run(tmp_path, "EnhancedGenRec", np.array([1.0]))
    add_run(tmp_path, "EASE", np.array([0.0]))
    with pytest.raises(InputError, match="ml-100k loo has one test user"):
        compare(tmp_path)


def test_comparisons_are_read_back_to_the_last_digit(results):
    rows = compare(results)
    write_comparisons(results / "comparisons.csv", rows)
    assert read_comparisons(results / "comparisons.csv") == rows


@pytest.mark.parametrize("column", ["difference", "p_t", "p_holm", "low"])
@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity", "1e999"])
def test_what_is_not_a_finite_number_is_refused(results, column, value):
    path = results / "comparisons.csv"
    write_comparisons(path, compare(results))
    lines = [*csv.DictReader(path.read_text().splitlines())]
    lines[1][column] = value
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    with pytest.raises(InputError, match=rf"comparisons\.csv:3: .*{column}"):
        read_comparisons(path)


def test_a_damaged_line_is_named(results):
    path = results / "comparisons.csv"
    write_comparisons(path, compare(results))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], lines[2][:30]]))
    with pytest.raises(InputError, match=r"comparisons\.csv:3: not a comparison"):
        read_comparisons(path)


def test_bad_input_is_reported_in_one_line_and_leaves_the_old_file(results, capsys):
    assert llm4rec(["compare", "--results", str(results)]) == 0
    before = (results / "comparisons.csv").read_bytes()
    (results / "users/ml-100k/loo/BPR/seed_1.parquet").write_bytes(b"PAR1")
    capsys.readouterr()
    assert llm4rec(["compare", "--results", str(results)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "BPR/seed_1.parquet: not a whole Parquet file" in message
    assert (results / "comparisons.csv").read_bytes() == before


@pytest.mark.parametrize("module", ["cli.tables"])
def test_the_stages_start_without_torch_recbole_pandas_or_scipy(module):
    script = f"import sys, llm4rec_recbole.{module}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "recbole", "pandas", "scipy"} & set(run.stdout.split())


def test_several_seeds_make_the_tests_treat_seeds_as_random(tmp_path):
    ours = [ranks_around(middle, seed=3) for middle in (4, 9, 14)]
    for seed, ranks in enumerate(ours):
        add_run(tmp_path, "EnhancedGenRec", ranks, seed=seed)
    add_run(tmp_path, "SASRec", ranks_around(12))
    (test,) = (c for c in compare(tmp_path) if (c.table, c.metric) == ("table_1", "ndcg@10"))
    values = np.stack([ndcg(ranks, 10) for ranks in ours])
    difference = values.mean(axis=0) - ndcg(ranks_around(12), 10)
    error, df = users_and_seeds(difference, [values])
    assert test.difference == pytest.approx(difference.mean())
    assert test.p_t == pytest.approx(2 * stats.t.sf(abs(difference.mean()) / error, df))
    assert test.high - test.low == pytest.approx(2 * stats.t.ppf(0.975, df) * error)
    assert error > stats.sem(difference)
