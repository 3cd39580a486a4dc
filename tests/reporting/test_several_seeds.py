"""Tables of methods with three seeds, two, one, and without randomness; nulls and their effect."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest

from llm4rec_recbole.analysis.paired_tests import read_comparisons
from llm4rec_recbole.analysis.paper.paper_tables import ALL_FIVE, METHODS
from llm4rec_recbole.cli import tables
from llm4rec_recbole.cli.tables import dataset_table
from llm4rec_recbole.evaluation.metrics import accuracy
from tests.helpers.fake_ablation import MIDDLES
from tests.helpers.fake_results import add_run, ranks_around
from tests.helpers.generated_tables import (
    make_tables,
    table_csv_rows,
    table_row,
    table_text,
)

USERS = 60
OURS = "EnhancedGenRec"


def add_seeds(results, method, middle, seeds=(0, 1, 2), **more):
    """Runs of a method whose users keep their ranks between methods, but for the seed's noise."""
    for seed in seeds:
        ranks = ranks_around(middle) + np.random.default_rng(seed).integers(0, 2, USERS)
        add_run(results, method, ranks, seed=seed, **more)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    results = tmp_path_factory.mktemp("seeds") / "results"
    for method in METHODS:
        add_seeds(results, method, MIDDLES[method])
    add_seeds(results, "BPR", 25, seeds=(0, 1))
    add_seeds(results, "P5", 40, seeds=(2,), pretrained="scratch")
    add_seeds(results, "GenRec", 30, seeds=(0,), pretrained="SmolLM2", llm_layers="2 of 30")
    add_seeds(results, "EASE", 30, seeds=(0,), valid=0.01)
    add_seeds(results, "EnhancedGenRec-random-body", MIDDLES[OURS], valid=0.02)
    add_seeds(results, "EnhancedGenRec-random-entries", MIDDLES[OURS], seeds=(0,), valid=0.01)
    add_seeds(results, "EnhancedGenRec-no-backdoor", 0, valid=0.01)
    add_seeds(results, "SASRec+RecencyEASE", 60, valid=0.03)
    add_seeds(results, "MyModel", 50, seeds=(0,))
    assert tables.compare(["--results", str(results)]) == 0
    assert make_tables(results) == 0
    return results


def test_several_seeds_have_a_deviation_and_one_has_none(results):
    hits = [
        accuracy(ranks_around(25) + np.random.default_rng(s).integers(0, 2, USERS))["hit@10"]
        for s in (0, 1)
    ]
    line = table_csv_rows(results, 1)["RecBole (BPR)"]
    assert float(line["full_hit@10_sd"]) == pytest.approx(np.std(hits, ddof=1), abs=1e-6)
    shown = f"{np.mean(hits):.3f} ± {np.std(hits, ddof=1):.3f}"
    assert shown in table_row(results, 1, "RecBole (BPR)")[3]
    assert table_row(results, 1, "RecBole (BPR)")[-1] == "2 seeds"
    assert table_row(results, 1, "EASE")[-1] == "deterministic"
    assert "±" not in " ".join(table_row(results, 1, "EASE"))
    assert table_csv_rows(results, 1)["EASE"]["full_hit@10_sd"] == ""
    assert "0.700 ± 0.000" in " ".join(table_row(results, 2, "RecBole (BPR)"))
    assert "12.3 ± 0.0" in " ".join(table_row(results, 3, "RecBole (BPR)"))


def test_one_seed_is_marked_and_supports_no_claim(results):
    label = "P5 (trained from scratch, not searched)"
    assert table_row(results, 1, label)[-1] == "one seed"
    assert table_row(results, 1, label)[-2] == "better (one seed)"
    assert "One seed: GenRec, MyModel, P5" in table_text(results, 1).replace(
        "EnhancedGenRec-random-entries, ", ""
    )


def test_sizes_are_those_of_the_records(results):
    assert table_row(results, 1, "GenRec (2 of 30 layers, not searched)")[1] == "0.692"


def test_rows_stand_in_groups(results):
    lines = table_text(results, 1).splitlines()
    numbers = [
        next(n for n, line in enumerate(lines) if line.startswith(start))
        for start in ("| **The paper's methods**", "| GenRec", "| **References**", "| EASE",
                      "| **Nulls**", "| EnhancedGenRec-random-body", "| **Other methods**",
                      "| MyModel")
    ]  # fmt: skip
    assert numbers == sorted(numbers)
    tex = table_text(results, 1, "tex")
    assert r"\emph{Nulls}" in tex


def test_the_best_null_is_of_the_whole_or_of_the_language_model(results):
    rows = read_comparisons(results / "comparisons.csv")
    assert {c.baseline for c in rows if c.table == "table_1"} == {
        "GenRec", "P5", "BPR", "SASRec+RecencyEASE",
    }  # fmt: skip
    judged = {c.baseline for c in rows if c.table == "table_1_nulls"}
    assert ALL_FIVE in judged


def test_every_comparison_has_a_conclusion(results):
    rows = read_comparisons(results / "comparisons.csv")
    assert [c for c in rows if not c.conclusion] == []
    by_pair = {(c.table, c.method, c.baseline): c.conclusion for c in rows
               if c.metric == "ndcg@10"}  # fmt: skip
    assert by_pair["table_1", OURS, "BPR"] == "better"
    assert by_pair["table_1", OURS, "GenRec"] == "better; one seed of GenRec"
    assert by_pair["table_1_nulls", OURS, "EnhancedGenRec-no-backdoor"] == "worse"
    same = by_pair["table_1_nulls", OURS, "EnhancedGenRec-random-body"]
    margin = re.search(r"equivalent within ([\d.]+) %", same)
    assert float(margin[1]) < 100


def test_a_component_that_its_null_ties_has_no_effect(results):
    nulls = {
        "EnhancedGenRec-random-body (null of the language model)": "no effect",
        "EnhancedGenRec-random-entries (null of the retrieval)": "undecided",
        "EnhancedGenRec-no-backdoor (null of the debiasing)": "costs accuracy",
        "SASRec+RecencyEASE (null of the whole)": "has an effect",
    }
    for label, effect in nulls.items():
        assert table_row(results, 4, label)[-2] == effect
    debiasing = table_row(results, 4, "+ Causal Debiasing")[-2]
    assert debiasing == "costs accuracy"  # by its null, whatever its step
    adaptation = table_row(results, 4, "+ Adaptive Learning")[-2]
    assert adaptation == "has an effect"  # its step and its null are one comparison
    assert table_row(results, 4, "Full Framework")[-2] == "has an effect"
    assert table_row(results, 5, "Causal Debiasing")[-2] == "costs accuracy"
    text = table_text(results, 4)
    assert "No effect: the null ties the method" in text
    assert "| **Components** |" in text


def test_the_change_of_a_null_is_the_method_less_the_null(results):
    line = table_csv_rows(results, 4)["SASRec+RecencyEASE (null of the whole)"]
    ours = table_csv_rows(results, 4)["Full Framework"]
    difference = float(ours["ndcg@10"]) - float(line["ndcg@10"])
    assert float(line["ndcg@10_change"]) == pytest.approx(difference, abs=2e-6)
    assert line["against"] == OURS


def test_the_answer_says_what_the_ladder_finds(results):
    answer = (results.parent / "out" / "answer.md").read_text()
    first, _, ladder = answer.strip().split("\n\n")
    assert first.startswith("**Not as printed.** Our runs support ")
    assert "the null ladder finds no effect of the language model" in ladder
    assert "an effect of " in ladder
    assert "a cost of debiasing" in ladder
    assert "One seed leaves retrieval" in ladder


def test_gains_are_pooled_over_data_sets(results, tmp_path):
    """Two data sets with the same ranks: no variance between them, the gain of each."""
    others = tmp_path / "others"
    for method, middle, seeds in ((OURS, MIDDLES[OURS], (0, 1, 2)), ("BPR", 25, (0, 1))):
        add_seeds(others / "beauty", method, middle, seeds, dataset="beauty")
    paths = ["--results", str(results), "--other_results", str(others), "--out", str(tmp_path)]
    assert dataset_table(paths) == 0
    text = (tmp_path / "table_1_data_sets.md").read_text()
    bpr = next(line for line in text.splitlines() if line.startswith("| RecBole (BPR) |"))
    rows = [*csv.DictReader((tmp_path / "table_1_data_sets.csv").read_text().splitlines())]
    mean = {row["method"]: float(row["ndcg@10"]) for row in rows if row["dataset"] == "beauty"}
    gain = 100 * (mean[OURS] / mean["BPR"] - 1)
    assert f"{gain:+.1f} %" in bpr.split("|")[-2]
    assert "| **Gain of EnhancedGenRec** |" in text
    best = next(line for line in text.splitlines() if line.startswith("| over the best of"))
    assert f"{gain:+.1f} %" in best
    assert "95 % prediction interval" in text
