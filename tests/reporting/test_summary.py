"""The page's first sentences: each number is the one that it says it is, and nothing is hidden."""

from __future__ import annotations

import html
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from llm4rec_recbole.reporting.summary import does_it_hold, summary
from llm4rec_recbole.reporting.tables.notes import run_notes
from tests.helpers.fake_rows import comparison, record, row, section

BPR = comparison("BPR", 0.016, 0.003, 0.031)
LEAD = comparison("SASRec", 0.016, 0.003, 0.031)


def sentences(*rows) -> list[str]:
    """The sentences, as they are read."""
    return [f"{setting}: {sentence}" for setting, sentence in summary([section(*rows)])]


def test_the_best_method_is_the_one_with_the_highest_ndcg():
    best, _, _ = sentences(row("Pop", 0.02), row("SASRec", 0.114), row("P5", 0.06),
                      row("EnhancedGenRec", 0.08))  # fmt: skip
    assert best == (
        "ml-100k, loo: of 4 methods, SASRec ranks the held-out item best among all items: "
        "NDCG@10 0.114, HR@10 0.164."
    )


def test_the_papers_model_stands_with_its_difference_interval_and_baseline():
    _, ours, _ = sentences(row("EnhancedGenRec", 0.130), row("SASRec", 0.114, test=LEAD))
    assert ours == (
        "ml-100k, loo: EnhancedGenRec has NDCG@10 0.130 (one seed, 943 test users). Against the "
        "best reference, SASRec, the difference is +0.016 [+0.003, +0.031], significant (Holm p "
        "0.01). One seed supports no claim."
    )


@pytest.mark.parametrize(
    ("p", "sure"),
    [(0.049, ", significant"), (0.05, ", not significant"), (0.28, ", not significant")],
)
def test_only_a_small_p_makes_a_difference(p, sure):
    test = comparison("SASRec", 0.016, 0.003, 0.031, p_holm=p)
    _, ours, _ = sentences(row("EnhancedGenRec", 0.130), row("SASRec", 0.114, test=test))
    assert f"{sure} (Holm p {p:.2g}). One seed supports no claim." in ours


def test_the_ranges_of_full_and_sampled_ranking_and_the_papers():
    *_, sampled = sentences(row("P5", 0.06), row("EnhancedGenRec", 0.13), row("Pop", 0.02))
    assert sampled == (
        "ml-100k, loo: the same runs' HR@10 is 0.070 to 0.180 among all items. It is 0.110 to "
        "0.440 when the item only has to beat 100 random ones. The paper prints 0.718 to 0.724."
    )


def test_what_failed_or_was_not_run_is_named_where_the_best_are():
    best, ours, _ = sentences(row("EnhancedGenRec", 0.130), row("GenRec", failed=1),
                         row("LightGCN", failed=2), row("P5"),
                         row("BPR", 0.114, test=BPR))  # fmt: skip
    missing = "GenRec, LightGCN failed; P5 not run"
    assert f"of the 2 methods that ran ({missing}), EnhancedGenRec ranks" in best
    assert "Against the best of the paper's baselines that ran, BPR, " in ours
    assert f"EnhancedGenRec has NDCG@10 0.130 (one seed, 943 test users; {missing}). " in ours


def test_a_method_of_which_only_some_seeds_failed_is_named_too():
    best, ours, _ = sentences(
        row("EnhancedGenRec", 0.130), row("SASRec", 0.114, test=LEAD), row("P5", 0.06, failed=2)
    )
    assert "(2 of 3 seeds of P5 failed)" in best
    assert "943 test users; 2 of 3 seeds of P5 failed). Against " in ours


def test_the_papers_model_itself_may_have_failed():
    best, ours, _ = sentences(row("EnhancedGenRec", failed=1), row("SASRec", 0.114))
    assert "of the 1 method that ran (EnhancedGenRec failed), SASRec" in best
    assert ours == "ml-100k, loo: the paper's model has no result (failed: no memory)."


def test_without_a_baseline_the_missing_ones_are_named():
    _, ours, _ = sentences(row("EnhancedGenRec", 0.130), row("BPR", failed=1), row("P5"))
    assert ours == (
        "ml-100k, loo: the paper's model has no baseline to be compared with "
        "(BPR failed; P5 not run)."
    )


def test_where_everything_failed_that_is_what_is_found():
    (line,) = sentences(row("EnhancedGenRec", failed=1), row("SASRec", failed=1), row("P5"))
    assert line == (
        "ml-100k, loo: no method has a result; EnhancedGenRec, SASRec failed; P5 not run."
    )


def test_claims_that_the_printed_numbers_support_are_not_counted_as_ours():
    verdicts = [
        ("supported", ["a run"]),
        ("supported", []),
        ("contradicted by the paper itself", []),
    ]
    claims = [SimpleNamespace(verdict=verdict, measured=runs) for verdict, runs in verdicts]
    assert does_it_hold(claims) == (
        "Not as printed",
        "Our runs support 1 of the paper's 3 claims. The paper's own printed numbers support 1 and "
        "contradict 1.",
    )


def test_a_run_that_fills_two_rows_is_noted_once():
    provenance = dict.fromkeys(("git_commit", "lock_sha256", "data_sha256"), "0" * 64)
    off = provenance | {"idle_components": {"adaptation": "no gain"}}
    runs = [
        replace(record("EnhancedGenRec"), seed=seed, users_path=Path(str(seed)), provenance=its)
        for seed, its in enumerate([off, provenance])
    ]
    above, below = (replace(row("EnhancedGenRec", 0.1), records=runs) for _ in range(2))
    notes = run_notes([section(above, below)])
    assert "Component adaptation is off (no gain): EnhancedGenRec on ml-100k, seed 0." in notes


def test_the_failure_and_the_methods_not_run_reach_the_page(report_page):
    text = report_page.read_text(encoding="utf-8")
    lead = html.unescape(text[text.index('<ul class="findings">') : text.index("</ul>")])
    assert "ml-100k, loo: of the 7 methods that ran (ItemKNN failed; GenRec, P5, " in lead
    assert "Against the best of the paper's baselines that ran, LightGCN, " in lead
    assert "Against the best reference, " in lead
