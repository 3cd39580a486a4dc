"""The null ladder: how nulls are run, which one judges, and which part has no effect."""

from __future__ import annotations

import math

import numpy as np
import pytest

import llm4rec_recbole.cli.run as cli
from llm4rec_recbole.analysis.compare import best_null, compare
from llm4rec_recbole.analysis.null_ladder import Rung, effect, effect_of_row, finding, rungs
from llm4rec_recbole.config import check_request
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.record_reader import by_method, read_records
from llm4rec_recbole.files import properties_folder
from llm4rec_recbole.models.enhanced_genrec.options import EnhancedGenRecOptions
from llm4rec_recbole.registry import nulls, variant
from llm4rec_recbole.training.checks import check_option_values, checked_config
from llm4rec_recbole.yaml_files import read_yaml
from tests.helpers.fake_results import add_run, ranks_around
from tests.helpers.fake_rows import comparison

SETTING = ("ml-100k", "loo")


@pytest.mark.parametrize("null", nulls())
def test_every_null_can_be_run_by_its_name(null):
    model, options = variant(null)
    assert options.get("method", null) == null
    check_request(model, "ml-100k", (), options)
    check_option_values(model, options)


def test_sasrec_is_trained_as_the_sasrec_in_the_method_that_it_is_a_null_of():
    ours = EnhancedGenRecOptions.model_fields
    sasrec = read_yaml(properties_folder() / "model/SASRec.yaml").values
    assert sasrec["norm"] == "pre"  # components/sasrec_term.py has no other
    assert sasrec["item_init"] == ours["item_init"].default
    assert sasrec["hidden_dropout_prob"] == ours["sasrec_dropout"].default
    training = read_yaml(properties_folder() / "model/EnhancedGenRec.yaml").values
    assert sasrec["learning_rate"] == training["learning_rate"]


@pytest.mark.parametrize("model", [None, "EnhancedGenRec", "EnhancedGenRec-random-body"])
def test_the_method_s_name_is_enough_to_run_a_null(model, monkeypatch):
    started = []
    monkeypatch.setattr(cli, "_run", lambda *run: started.append(run))
    monkeypatch.setattr(cli, "_print_result", lambda path: None)
    named = [] if model is None else [f"--model={model}"]
    assert cli.run_recbole([*named, "--method=EnhancedGenRec-random-body"]) == 0
    [(model, _, _, options)] = started
    assert model == "EnhancedGenRec"
    assert options == {"llm": "scratch-576x2", "method": "EnhancedGenRec-random-body"}


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("EnhancedGenRec", {"llm": "scratch-64x2"}, "has llm scratch-576x2, and this run has scr"),
        ("BPR", {}, "is a null of the model EnhancedGenRec"),
    ],
)
def test_another_run_cannot_have_the_name_of_a_null(model, options, message):
    named = {"method": "EnhancedGenRec-random-body", **options}
    with pytest.raises(InputError, match=message):
        checked_config(model, "ml-100k", (), named)


def test_components_in_another_order_are_the_same_null():
    given = {"components": ["retrieval", "fusion", "explanation", "debiasing"]}
    config = checked_config("EnhancedGenRec", "ml-100k", (), given)
    assert config["method"] == "EnhancedGenRec_fusion_retrieval_debiasing_explanation"


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
    for seed in (1, 2):
        add_run(results, "EnhancedGenRec", ranks_around(6), seed=seed)
        null = "EnhancedGenRec-random-body"
        add_run(results, null, ranks_around(6), valid=0.2, seed=seed)  # ties
        null = "EnhancedGenRec-smallest-body"
        add_run(results, null, ranks_around(60), valid=0.1, seed=seed)
        null = "EnhancedGenRec-no-relations"
        add_run(results, null, np.full(60, 50.0), valid=0.1, seed=seed)
        null = "EnhancedGenRec-no-backdoor"
        add_run(results, null, np.zeros(60), valid=0.1, seed=seed)
    add_run(results, "EnhancedGenRec-random-entries", np.zeros(60), valid=0.1)  # one seed
    found = {rung.part: rung for rung in rungs(compare(results), runs_of(results))}
    assert found["language model"].null == "EnhancedGenRec-random-body"
    assert found["language model"].effect == "no effect"
    assert found["relations"].effect == "has an effect"
    assert found["debiasing"].effect == "costs accuracy"
    assert found["retrieval"].effect == "undecided"
    assert finding([*found.values()]) == (
        "In NDCG@10, the null ladder finds no effect of the language model ("
        "EnhancedGenRec-random-body); an effect of relations (EnhancedGenRec-no-relations); "
        "a cost of debiasing (EnhancedGenRec-no-backdoor). One seed leaves retrieval ("
        "EnhancedGenRec-random-entries) undecided."
    )
    assert str(found["relations"]).startswith(
        "ml-100k, loo: relations of EnhancedGenRec: has an effect beside EnhancedGenRec-no-"
    )


@pytest.mark.parametrize(
    ("row", "null", "expected"),
    [
        (0.0, 0.0, "has an effect"),
        (0.9, 0.0, "no effect (ties the row that it is compared with)"),
        (0.0, 0.9, "no effect (ties EnhancedGenRec-random-entries)"),
        (0.9, -0.0, "costs accuracy"),
    ],
)
def test_a_row_has_an_effect_only_where_row_and_null_say_so(row, null, expected):
    """A p of -0.0 stands for a significant difference below 0."""

    def test(p):
        return comparison("x", math.copysign(0.1, p), -1.0, 1.0, p_holm=abs(p))

    judged = test(null)
    rung = Rung("EnhancedGenRec", "retrieval", "EnhancedGenRec-random-entries", effect(judged),
                judged)  # fmt: skip
    assert effect_of_row(test(row), rung) == expected
    assert effect_of_row(None, None) == ""
