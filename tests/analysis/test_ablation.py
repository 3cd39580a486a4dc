"""Tables IV and V: which runs are compared, and that the numbers are those of the users files."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from llm4rec_recbole.analysis.claims import read_printed
from llm4rec_recbole.analysis.compare import compare
from llm4rec_recbole.analysis.paper import paper_tables
from llm4rec_recbole.analysis.paper.paper_tables import ALL_FIVE, BACKBONE, METHODS, SUM
from llm4rec_recbole.evaluation.metrics import hit, ndcg
from llm4rec_recbole.files import printed_folder
from tests.helpers.fake_ablation import add_ablation, ranks
from tests.helpers.fake_results import add_run, ranks_around


def rows(results, table: str, metric: str) -> dict[tuple[str, str], object]:
    return {
        (c.method, c.baseline): c
        for c in compare(results)
        if (c.table, c.ranking, c.metric) == (table, "full", metric)
    }


def test_the_rows_are_the_papers():
    paper = read_printed(printed_folder())
    assert list(paper_tables.TABLE_4) == list(dict.fromkeys(row for row, _ in paper["table_4"]))
    assert list(paper_tables.TABLE_5) == list(dict.fromkeys(row for row, _ in paper["table_5"]))


def test_each_row_of_table_4_is_compared_with_the_row_above_and_the_last_with_the_first(tmp_path):
    add_ablation(tmp_path)
    chain = [*METHODS[:6]]
    expected = [*zip(chain[1:], chain[:-1]), ("EnhancedGenRec", BACKBONE)]
    for metric in ("hit@5", "hit@10", "ndcg@5", "ndcg@10"):
        assert list(rows(tmp_path, "table_4", metric)) == expected


def test_a_step_is_the_paired_difference_of_the_users_files(tmp_path):
    add_ablation(tmp_path)
    pair = ("GenRecFusion", BACKBONE)
    test = rows(tmp_path, "table_4", "ndcg@10")[pair]
    with_it, without = (ndcg(ranks(method), 10) for method in pair)
    assert test.difference == pytest.approx((with_it - without).mean())
    assert test.p_t == pytest.approx(stats.ttest_rel(with_it, without).pvalue)
    assert test.low < test.difference < test.high


def test_each_component_alone_is_compared_with_the_backbone(tmp_path):
    add_ablation(tmp_path)
    found = rows(tmp_path, "table_5", "hit@10")
    alone = ("GenRecFusion", "GenRecRetrieval", "GenRecDebias", "GenRecExplain", "GenRecAdapt")
    assert set(found) == {
        *((method, BACKBONE) for method in alone),
        (ALL_FIVE, SUM),
        ("GenRecDebias", "GenRecRetrieval"),
    }
    difference = hit(ranks("GenRecFusion"), 10) - hit(ranks(BACKBONE), 10)
    assert found["GenRecFusion", BACKBONE].difference == pytest.approx(difference.mean())


def test_synergy_is_the_whole_less_the_sum_of_the_parts(tmp_path):
    add_ablation(tmp_path)
    test = rows(tmp_path, "table_5", "ndcg@10")[ALL_FIVE, SUM]
    users = {method: ndcg(ranks(method), 10) for method in METHODS}
    whole = users[ALL_FIVE] - users[BACKBONE]
    for method in METHODS:
        if method.startswith("GenRec"):
            whole = whole - (users[method] - users[BACKBONE])
    assert test.difference == pytest.approx(whole.mean())
    assert test.p_t == pytest.approx(stats.ttest_1samp(whole, 0).pvalue)


def test_components_that_only_add_up_have_no_synergy():
    parts = dict.fromkeys(METHODS, np.array([0.1, 0.2])) | {BACKBONE: np.zeros(2)}
    parts[ALL_FIVE] = np.array([0.5, 1.0])
    assert paper_tables.synergy(parts) == pytest.approx([0, 0])


def test_a_missing_run_takes_only_its_own_comparisons_with_it(tmp_path):
    add_ablation(tmp_path, "EnhancedGenRec_fusion_retrieval", "GenRecExplain")
    steps = rows(tmp_path, "table_4", "hit@10")
    assert not any("EnhancedGenRec_fusion_retrieval" in pair for pair in steps)
    assert len(steps) == 6 - 2
    parts = rows(tmp_path, "table_5", "hit@10")
    assert (ALL_FIVE, SUM) not in parts
    assert ("GenRecFusion", BACKBONE) in parts


def test_holm_runs_over_each_of_the_two_tables(tmp_path):
    add_ablation(tmp_path)
    found = compare(tmp_path)
    for table, size in (("table_4", 4 * 6), ("table_5", 3 * 7)):
        its = [c for c in found if c.table == table]
        assert len(its) == size
        smallest = min(its, key=lambda c: c.p_t)
        assert smallest.p_holm == pytest.approx(min(1, smallest.p_t * size))


def test_the_ablation_changes_nothing_in_tables_1_and_2(tmp_path):
    add_run(tmp_path, "BPR", ranks_around(25, seed=99))
    add_run(tmp_path, "EnhancedGenRec", ranks("EnhancedGenRec"))
    before = compare(tmp_path)
    add_ablation(tmp_path)
    assert [c for c in compare(tmp_path) if c.table in ("table_1", "table_2")] == before
