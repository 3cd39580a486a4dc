from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from fake_results import add_run, ranks_around
from scipy import stats

from llm4rec_recbole.analysis import significance
from llm4rec_recbole.analysis.compare import (
    against_best_baseline,
    best_baseline,
    compare,
    read_comparisons,
    write_comparisons,
)
from llm4rec_recbole.analysis.paper.paper_methods import OURS
from llm4rec_recbole.cli.compare import main
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.metrics import ndcg


@pytest.fixture
def results(tmp_path):
    for method, middle in (("Pop", 60), ("EASE", 9), ("BPR", 25), ("EnhancedGenRec", 4)):
        add_run(tmp_path, method, ranks_around(middle, seed=middle))
    return tmp_path


def test_the_best_baseline_is_never_our_own_model():
    assert best_baseline({"EASE": 0.1, "Pop": 0.05, "EnhancedGenRec": 0.3}) == "EASE"
    assert best_baseline({"EnhancedGenRec": 0.3}) is None


def test_every_method_but_the_best_baseline_is_compared_with_it(results):
    rows = [c for c in compare(results) if (c.ranking, c.metric) == ("full", "ndcg@10")]
    assert [(c.method, c.baseline) for c in rows] == [
        ("BPR", "EASE"),
        ("EnhancedGenRec", "EASE"),
        ("Pop", "EASE"),
    ]
    assert [c.difference > 0 for c in rows] == [False, True, False]


def test_a_comparison_holds_the_paired_t_test_of_the_users_files(results):
    (row,) = (
        c for c in compare(results) if (c.ranking, c.metric, c.method) == ("full", "ndcg@10", "BPR")
    )
    first, second = ndcg(ranks_around(25, seed=25), 10), ndcg(ranks_around(9, seed=9), 10)
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


def test_holm_runs_over_all_rankings_and_metrics_of_the_table(results):
    rows = [c for c in compare(results) if c.table == "table_1"]
    assert len(rows) == 3 * 3 * 2
    smallest = min(rows, key=lambda c: c.p_t)
    assert smallest.p_holm == pytest.approx(smallest.p_t * len(rows))


def test_each_protocol_has_a_best_baseline_of_its_own(results):
    add_run(results, "EASE", ranks_around(30), protocol="temporal")
    add_run(results, "BPR", ranks_around(5), protocol="temporal")
    found = {c.protocol: c.baseline for c in compare(results) if c.table == "table_1"}
    assert found == {"loo": "EASE", "temporal": "BPR"}


def beyond(results, metric: str) -> dict[str, object]:
    return {c.method: c for c in compare(results) if (c.table, c.metric) == ("table_2", metric)}


def test_diversity_and_novelty_of_each_users_list_are_compared_too(results):
    add_run(results, "EASE", ranks_around(9, seed=9), beyond={"novelty@10": 0.5})
    row = beyond(results, "novelty@10")["BPR"]
    assert (row.baseline, row.ranking, row.users) == ("EASE", "full", 60)
    assert row.difference == pytest.approx(0.3 - 0.5)
    assert row.p_holm < 0.05
    assert {c.metric for c in compare(results) if c.table == "table_2"} == {
        "intra_list_diversity@10", "novelty@10", "coverage@100",
    }  # fmt: skip


def test_holm_runs_over_each_table_by_itself(results):
    add_run(results, "Pop", ranks_around(60, seed=60), beyond={"novelty@10": 0.9})
    rows = [c for c in compare(results) if c.table == "table_2"]
    smallest = min(rows, key=lambda c: c.p_t)
    assert len(rows) == 9
    assert smallest.p_holm == pytest.approx(smallest.p_t * 9)


def test_what_a_data_set_does_not_tell_is_compared_with_nothing(results):
    for method in ("Pop", "EASE", "BPR", "EnhancedGenRec"):
        add_run(results, method, ranks_around(9), beyond={"intra_list_diversity@10": None})
    assert beyond(results, "intra_list_diversity@10") == {}
    assert len(beyond(results, "novelty@10")) == 3


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


def test_a_method_that_is_no_row_of_the_table_is_left_out(results):
    add_run(results, "NeuMF", ranks_around(1))
    assert "NeuMF" not in {name for c in compare(results) for name in (c.method, c.baseline)}
    named = compare(results, recbole_row="NeuMF")
    assert {c.baseline for c in named if c.ranking == "full"} == {"NeuMF"}


def test_one_method_alone_is_compared_with_nothing(tmp_path):
    add_run(tmp_path, "Pop", ranks_around(60))
    assert compare(tmp_path) == []


def test_one_test_user_is_too_few(tmp_path):
    add_run(tmp_path, "Pop", np.array([1.0]))
    add_run(tmp_path, "EASE", np.array([0.0]))
    with pytest.raises(InputError, match="ml-100k loo has one test user"):
        compare(tmp_path)


def test_comparisons_are_read_back_to_the_last_digit(results):
    rows = compare(results)
    write_comparisons(results / "comparisons.csv", rows)
    assert read_comparisons(results / "comparisons.csv") == rows


def test_a_damaged_line_is_named(results):
    path = results / "comparisons.csv"
    write_comparisons(path, compare(results))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], lines[2][:30]]))
    with pytest.raises(InputError, match=r"comparisons\.csv:3: not a comparison"):
        read_comparisons(path)


def test_bad_input_is_told_in_one_line_and_leaves_the_old_file(results, capsys):
    assert main(["--results", str(results)]) == 0
    before = (results / "comparisons.csv").read_bytes()
    (results / "users/ml-100k/loo/BPR/seed_1.parquet").write_bytes(b"PAR1")
    capsys.readouterr()
    assert main(["--results", str(results)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "BPR/seed_1.parquet: not a whole Parquet file" in said
    assert (results / "comparisons.csv").read_bytes() == before


@pytest.mark.parametrize("module", ["cli.compare", "cli.tables"])
def test_the_stages_start_without_torch_recbole_pandas_or_scipy(module):
    script = f"import sys, llm4rec_recbole.{module}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "recbole", "pandas", "scipy"} & set(run.stdout.split())


def test_among_equals_this_projects_model_is_marked_no_more_often_than_the_level():
    """And a baseline more often, as the caption of Table I says: the best is found among them."""
    random = np.random.default_rng(0)
    methods = [OURS, *(f"baseline {n}" for n in range(10))]
    ours = any_baseline = 0
    for _ in range(400):
        values = {name: random.normal(size=200) for name in methods}
        rows = [*against_best_baseline(values)]
        p = significance.holm(significance.paired_t(np.stack([each for *_, each in rows], axis=1)))
        marked = {method for (method, *_), its in zip(rows, p) if its < 0.05}
        ours += OURS in marked
        any_baseline += bool(marked - {OURS})
    assert ours / 400 <= 0.05
    assert 0.05 < any_baseline / 400 < 0.25
