"""The null ladder: how nulls are run, which one judges, and which part has no effect."""

from __future__ import annotations

import numpy as np
import pytest

from llm4rec_recbole.analysis.compare import best_null, compare
from llm4rec_recbole.analysis.null_ladder import rungs
from llm4rec_recbole.evaluation.records import by_method, read_records
from llm4rec_recbole.option_readers import check_request
from llm4rec_recbole.registry import nulls, variant
from llm4rec_recbole.training.checks import check_option_values
from tests.helpers.fake_results import add_run, ranks_around

SETTING = ("ml-100k", "loo")


@pytest.mark.parametrize("null", nulls())
def test_every_null_can_be_run_by_its_name(null):
    model, options = variant(null)
    assert options["method"] == null
    check_request(model, "ml-100k", (), options)
    check_option_values(model, options)


def runs_of(results):
    records = read_records(results)
    return by_method(records, tuple({record.method: None for record in records}))[SETTING]


@pytest.fixture
def results(tmp_path):
    add_run(tmp_path, "EnhancedGenRec", ranks_around(6))
    add_run(tmp_path, "BPR", ranks_around(30))
    add_run(tmp_path, "SASRec", ranks_around(12), valid=0.10)
    return tmp_path


def test_the_best_null_has_the_best_validation_whatever_its_test(results):
    assert best_null(runs_of(results), "EnhancedGenRec") == "SASRec"
    add_run(results, "SASRec+RecencyEASE", ranks_around(50), valid=0.11)
    add_run(results, "EnhancedGenRec-random-body", ranks_around(1), valid=0.09)
    assert best_null(runs_of(results), "EnhancedGenRec") == "SASRec+RecencyEASE"
    compared = {c.baseline for c in compare(results) if c.table == "table_1"}
    assert compared == {"BPR", "SASRec+RecencyEASE"}


def test_nulls_leave_the_other_families_alone(results):
    before = compare(results)
    add_run(results, "EnhancedGenRec-random-body", ranks_around(6), valid=0.01)
    after = compare(results)
    assert [c for c in after if "_nulls" not in c.table] == before
    nulls_of = {(c.method, c.baseline) for c in after if c.table == "table_1_nulls"}
    assert nulls_of == {("EnhancedGenRec", "EnhancedGenRec-random-body")}


def test_each_part_is_judged_by_its_best_null(results):
    add_run(results, "EnhancedGenRec-random-body", ranks_around(6), valid=0.2)  # ties
    add_run(results, "EnhancedGenRec-smallest-body", ranks_around(60), valid=0.1)
    add_run(results, "EnhancedGenRec-no-relations", np.full(60, 50.0), valid=0.1)
    add_run(results, "EnhancedGenRec-no-backdoor", np.zeros(60), valid=0.1)
    found = {rung.part: rung for rung in rungs(compare(results), runs_of(results))}
    assert found["language model"].null == "EnhancedGenRec-random-body"
    assert found["language model"].effect == "no effect"
    assert found["relations"].effect == "has an effect"
    assert found["debiasing"].effect == "costs accuracy"
    assert str(found["relations"]).startswith(
        "ml-100k, loo: relations of EnhancedGenRec: has an effect beside EnhancedGenRec-no-"
    )
