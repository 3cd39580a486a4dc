"""The ledger on runs: the verdicts follow what was measured."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from llm4rec_recbole.evaluation.record_reader import Failure
from tests.helpers.fake_results import add_run, ranks_around
from tests.helpers.ledger import CONTRADICTED, entries

OTHERS = ("GenRec", "P5", "LightGCN", "BERT4Rec")


@pytest.fixture
def results(tmp_path):
    add_seeds(tmp_path, "BPR", ranks_around(9), beyond={"coverage@100": 0.3})
    for method in OTHERS:
        add_run(tmp_path, method, ranks_around(60, seed=7), beyond={"coverage@100": 0.2})
    return tmp_path


def ours(results, middle: float, **more) -> None:
    add_seeds(results, "EnhancedGenRec", ranks_around(middle), **more)


def add_seeds(results, method: str, ranks: np.ndarray, **more) -> None:
    """Two runs with the same ranks: a result of one seed supports no claim."""
    for seed in (1, 2):
        add_run(results, method, ranks, seed=seed, **more)


SIZE = "above, but not by the printed size"
TRUE_GAIN = "I ml-25m/ndcg@10"  # +1.4 %, which the paper's numbers give


def test_without_a_run_of_ours_nothing_is_measured(paper, results):
    entry = entries(paper, results)[TRUE_GAIN]
    assert (entry.measured, entry.verdict) == ([], "not run")
    assert entry.reason == "no run of EnhancedGenRec and a baseline to compare it with"


def test_a_gain_beyond_chance_supports_the_claim(paper, results):
    ours(results, 3)
    entry = entries(paper, results)[TRUE_GAIN]
    assert entry.verdict == SIZE
    assert entry.measured[0].where == "ml-100k, loo"
    assert " over BPR, p " in entry.measured[0].text


def test_a_loss_refutes_and_what_60_users_cannot_show_does_not(paper, results):
    ours(results, 20)
    reason = entries(paper, results)[TRUE_GAIN].reason
    assert reason.startswith("ml-100k, loo: below the best baseline, p ")
    add_seeds(results, "EnhancedGenRec", ranks_around(8, seed=3))
    entry = entries(paper, results)[TRUE_GAIN]
    assert entry.verdict == "not decided here"


def test_one_seed_supports_no_claim(paper, results):
    add_run(results, "EnhancedGenRec", ranks_around(3))
    entry = entries(paper, results)[TRUE_GAIN]
    assert (entry.verdict, entry.reason) == (
        "not decided here", "ml-100k, loo: one seed of EnhancedGenRec",
    )  # fmt: skip


def test_the_closest_of_the_five_baselines_decides_and_the_best_reference_is_beside(paper, results):
    ours(results, 3)
    add_run(results, "EASE", ranks_around(2, seed=5))  # above ours, but not in the paper
    entry = entries(paper, results)[TRUE_GAIN]
    assert entry.verdict == SIZE
    assert " over BPR, p " in entry.measured[0].text
    assert " over EASE, p " in entry.measured[0].null.text
    assert entry.null_verdict in ("contradicted by our data", "not decided here")


def test_a_gain_smaller_than_printed_does_not_support_the_claim(paper, results):
    ours(results, 3)
    for row, number in (("Ours", "4.290"), ("Improve.", "+914.2%")):
        paper["table_1"][row, "ml-25m/ndcg@10"] = number
    entry = entries(paper, results)[TRUE_GAIN]
    assert entry.claim.holds
    assert entry.verdict == SIZE
    assert entry.reason.endswith("and +914.2% is printed")


def test_a_claim_must_hold_everywhere(paper, results):
    ours(results, 3)
    for method, middle in (("BPR", 5), ("EnhancedGenRec", 30)):
        add_seeds(results, method, ranks_around(middle), protocol="temporal")
    entry = entries(paper, results)[TRUE_GAIN]
    assert entry.verdict == "contradicted by our data"
    assert entry.reason.startswith("ml-100k, temporal: ")


def test_results_of_another_data_set_are_not_evidence(paper, results):
    ours(results, 3)
    assert entries(paper, results)["I amazon-electronics/ndcg@10"].measured == []


def test_a_number_without_an_interval_decides_nothing(paper, results):
    paper["table_2"]["Improve.", "fairness"] = "+0.4%"  # which the paper's numbers give
    ours(results, 3, beyond={"fairness@10": 0.8})
    entry = entries(paper, results)["II fairness"]  # the data set's groups are not here
    assert entry.verdict == "not decided here"
    assert entry.measured[0].text == "+33.3 % over GenRec, no interval"
    ours(results, 3, beyond={"fairness@10": 0.1})
    assert entries(paper, results)["II fairness"].verdict == "not decided here"


def test_the_gain_is_among_all_items_and_in_per_cent_of_the_best_baseline(paper, results):
    best, better = np.repeat([0.0, 12.0, 99.0], [20, 30, 10]), np.repeat([0.0, 99.0], [50, 10])
    add_seeds(results, "BPR", best)  # of 60: 20 hits among all items, 50 among a hundred (a third)
    add_seeds(results, "EnhancedGenRec", better)
    (measured,) = entries(paper, results)["IV best hit@10"].measured
    assert measured.text.startswith("+150.0 % [")
    assert " over BPR, p " in measured.text


@pytest.mark.parametrize(("break_", "missing"), [
    ("fails", "P5 failed"), ("lacks", "P5 did not run"),
])  # fmt: skip
def test_a_missing_baseline_takes_the_support_away_and_is_named(paper, results, break_, missing):
    ours(results, 3)
    assert entries(paper, results)[TRUE_GAIN].verdict == SIZE
    failures = []
    (results / "runs/ml-100k/loo/P5/seed_1.json").unlink()
    if break_ == "fails":
        failures = [Failure("ml-100k", "loo", "P5", 1, "out of memory")]
    entry = entries(paper, results, failures)[TRUE_GAIN]
    assert entry.verdict == "not decided here"
    assert entry.reason == f"ml-100k, loo: {missing}, and might be the best baseline"
    assert entry.measured[0].text.endswith(f" ({missing})")


def test_a_seed_that_failed_beside_others_leaves_the_baseline_in(paper, results):
    ours(results, 3)
    failures = [Failure("ml-100k", "loo", "BPR", 3, "out of memory")]
    assert entries(paper, results, failures)[TRUE_GAIN].verdict == SIZE


def test_a_loss_refutes_whatever_else_failed(paper, results):
    ours(results, 20)
    (results / "runs/ml-100k/loo/P5/seed_1.json").unlink()
    failures = [Failure("ml-100k", "loo", "P5", 1, "out of memory")]
    assert entries(paper, results, failures)[TRUE_GAIN].verdict == "contradicted by our data"


def test_headlines_are_measured_by_every_metric_that_they_may_mean(paper, results):
    ours(results, 3)
    found = entries(paper, results)
    metrics = {key: [m.metric for m in found[key].measured] for key in found}
    assert metrics["abstract NDCG@10"] == ["ndcg@10"]
    assert metrics["abstract diversity"] == [
        "intra_list_diversity@10", "coverage@100", "novelty@10",
    ]  # fmt: skip
    assert metrics["everywhere I"] == ["hit@10", "ndcg@10"]
    assert len(metrics["everywhere II"]) == 4
    assert found["everywhere I"].measured[1].where == "ml-100k, loo, ndcg@10"


def test_levels_are_shown_but_not_judged(paper, results):
    ours(results, 3)
    entry = entries(paper, results)["level ml-25m/hit@10"]
    assert entry.verdict == "undecidable even on the paper's own data"
    text = entry.measured[0].text
    assert [part.split()[0] for part in text.split("], ")] == ["full", "uni100", "pop100"]
    _, mean, low, high = text.split(", uni100")[0].replace(",", "").split()
    assert float(low.strip("[")) < float(mean) < float(high.strip("]"))


def test_the_ledger_is_written_beside_the_tables(results, tmp_path):
    from llm4rec_recbole.cli import tables
    from llm4rec_recbole.cli.tables import compare as compare_main

    assert compare_main(["--results", str(results)]) == 0
    out = tmp_path / "out"
    assert tables.tables(["--results", str(results), "--out", str(out)]) == 0
    rows = {row["key"]: row for row in csv.DictReader((out / "claims.csv").open())}
    assert rows["II novelty"]["verdict"] == CONTRADICTED
    assert rows["I ml-25m/ndcg@10"]["ours"] == "not run"
    assert rows["IV-I Ours hit@10"]["ours"] == "–"
    text = (out / "claims.md").read_text()
    assert f"## {len(rows)} claims: " in text
    assert "| Where | The paper says |" in text
    assert "| --- | --- |" in text


STEP = "IV Multimodal Fusion"  # the paper's numbers rise; ours must rise in all four metrics
PART = "V Retrieval Augment. hit@10"  # +0.4 %, which the paper's numbers give


def test_claims_on_components_name_the_run_that_failed(paper, results):
    failures = [Failure("ml-100k", "loo", "GenRecFusion", 1, "out of memory")]
    assert entries(paper, results, failures)[STEP].reason == "GenRecFusion failed"
    assert entries(paper, results, failures)[PART].reason.startswith("no runs of")


def test_claims_on_components_wait_for_their_runs(paper, results):
    found = entries(paper, results)
    for key in (STEP, PART):
        assert (found[key].measured, found[key].verdict) == ([], "not run")
    assert found[STEP].reason == "no runs of GenRecFusion and EnhancedGenRec_none"
    assert found[PART].reason == "no runs of GenRecRetrieval and EnhancedGenRec_none"


def test_a_step_of_table_4_must_rise_in_every_metric(paper, results):
    add_seeds(results, "EnhancedGenRec_none", ranks_around(30))
    add_seeds(results, "GenRecFusion", ranks_around(4))
    entry = entries(paper, results)[STEP]
    assert entry.verdict == SIZE
    assert entry.reason.startswith("ml-100k, loo, hit@5: above EnhancedGenRec_none by ")
    assert [m.where.split(", ")[2] for m in entry.measured] == ["hit@5", "hit@10", "ndcg@5",
                                                               "ndcg@10"]  # fmt: skip
    same = ranks_around(30)
    add_seeds(results, "GenRecFusion", same)
    entry = entries(paper, results)[STEP]
    assert entry.verdict == "no effect larger than x %"
    assert entry.reason == (
        "ml-100k, loo, hit@5: no effect larger than 0 % over EnhancedGenRec_none"
    )


def test_a_step_is_measured_in_per_cent_of_the_row_above(paper, results):
    for method, hits in (("EnhancedGenRec_none", 10), ("GenRecFusion", 20),
                         ("EnhancedGenRec_fusion_retrieval", 50)):  # fmt: skip
        add_run(results, method, np.repeat([0.0, 99.0], [hits, 60 - hits]))
    by_metric = {m.metric: m for m in entries(paper, results)["IV Retrieval Augment."].measured}
    assert by_metric["hit@10"].gain == pytest.approx(150)
    assert by_metric["hit@10"].text.startswith("+150.0 % [")


def test_a_component_alone_is_measured_in_per_cent_of_the_backbone(paper, results):
    add_seeds(results, "EnhancedGenRec_none", np.repeat([0.0, 99.0], [20, 40]))
    add_seeds(results, "GenRecRetrieval", np.repeat([0.0, 99.0], [50, 10]))
    entry = entries(paper, results)[PART]
    assert entry.measured[0].text.startswith("+150.0 % [")
    assert entry.verdict == SIZE


def test_a_printed_gain_that_so_few_users_cannot_show_is_not_decided(paper, results):
    add_run(results, "EnhancedGenRec_none", ranks_around(20))
    add_run(results, "GenRecRetrieval", ranks_around(19, seed=5))
    entry = entries(paper, results)[PART]
    (measured,) = entry.measured
    assert measured.low < 0.4 < measured.high
    assert measured.detectable > 0.4
    assert entry.verdict == "not decided here"
    assert " users for 0.4 %; these 60 show " in entry.reason


def test_a_component_that_is_worse_is_not_supported_however_few_the_users(paper, results):
    add_run(results, "EnhancedGenRec_none", np.repeat([0.0, 99.0], [40, 20]))
    add_run(results, "GenRecRetrieval", np.repeat([0.0, 99.0], [20, 40]))
    assert entries(paper, results)[PART].verdict == "contradicted by our data"


def test_efficiency_is_measured_beside_the_papers_baselines(paper, results):
    ours(results, 3, cost={"inference_ms_per_user": 2.0, "peak_memory_gb": 0.5})
    (measured,) = entries(paper, results)["abstract efficiency"].measured
    expected = "slower than 5 of 5 baselines (2), larger than 0 of 5 baselines (0.5)"
    assert measured.text == f"{expected} in ms a user and GiB"


def test_diversity_of_a_component_is_shown_but_not_judged(paper, results):
    for method, diversity in (("EnhancedGenRec_none", 0.5), ("GenRecFusion", 0.6)):
        add_run(results, method, ranks_around(9), beyond={"intra_list_diversity@10": diversity})
    entry = entries(paper, results)["V Multimodal Fusion diversity"]
    assert entry.measured[0].text.startswith("+20.0 % [")
    assert entry.verdict == "undecidable even on the paper's own data"


def test_the_order_of_two_components_is_measured_though_the_paper_contradicts_itself(
    paper, results
):
    for method, middle in (("EnhancedGenRec_none", 9), ("GenRecDebias", 8), ("GenRecRetrieval", 3)):
        add_run(results, method, ranks_around(middle))
    entry = entries(paper, results)["V order"]
    assert entry.verdict == CONTRADICTED
    assert " over GenRecRetrieval, p " in entry.measured[0].text


def test_the_ablations_own_backbone_is_no_baseline_of_table_2(paper, results):
    ours(results, 3, beyond={"coverage@100": 0.4})
    add_run(results, "EnhancedGenRec_none", ranks_around(4), beyond={"coverage@100": 0.9})
    text = entries(paper, results)["II coverage@100"].measured[0].text
    assert text.startswith("+33.3 %")
    assert " over BPR, p " in text
