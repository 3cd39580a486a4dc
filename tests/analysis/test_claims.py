"""The ledger on the paper alone: each known contradiction comes out of the CSVs."""

from __future__ import annotations

import pytest

from llm4rec_recbole.analysis.claims import ledger
from tests.helpers.ledger import CONTRADICTED, entries

ROUNDED = "consistent within rounding"

# Each contradiction within the paper: keys of the claims, and whether rounding may explain it.
KNOWN = {
    "1 Ours differs between Tables I and IV": (["IV-I Ours hit@10", "IV-I Ours ndcg@10"], False),
    "1 as in Table IV it would lose to P5": (["IV best hit@10"], False),
    "2 Yelp NDCG, and the abstract": (
        ["I yelp-2023/ndcg@10", "abstract NDCG@10", "everywhere I"], False,
    ),
    "3 novelty": (["II novelty", "everywhere II"], False),
    "4 fairness, and the abstract": (["II fairness", "abstract diversity"], False),
    "5 Table V against Table IV": (
        ["V Causal Debiasing hit@10", "V Synergistic Effect hit@10",
         "V Synergistic Effect ndcg@10"], True,
    ),
    "6 debiasing above retrieval": (["V order"], False),
    "7 efficiency": (["abstract efficiency"], False),
    "8 MovieLens HR": (["I ml-25m/hit@10"], True),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_contradiction_comes_out_of_the_code(paper, name):
    keys, rounding = KNOWN[name]
    found = entries(paper)
    for key in keys:
        assert found[key].verdict == (ROUNDED if rounding else CONTRADICTED), key
        assert found[key].claim.rounding is rounding, key


def test_further_contradictions_of_table_5_and_no_others(paper):
    known = {key for keys, _ in KNOWN.values() for key in keys}
    verdicts = (CONTRADICTED, ROUNDED)
    found = {key for key, entry in entries(paper).items() if entry.verdict in verdicts}
    assert found - known == {
        "IV best ndcg@10",
        "V Causal Debiasing ndcg@10",
        "V Explainability ndcg@10",
        "V Adaptive Learning ndcg@10",
        "V sum hit@10",
        "V sum ndcg@10",
        "V sum diversity",
    }


def test_the_recomputed_values_are_shown(paper):
    found = entries(paper)
    assert found["I ml-25m/hit@10"].claim.recomputed == "+0.84 % over the best baseline, P5"
    assert found["II novelty"].claim.recomputed == (
        "-0.86 % over the best baseline, P5; nearest: +0.87 % over BERT4Rec"
    )
    assert found["everywhere I"].claim.recomputed == (
        "in 5 of them; Yelp-2023 NDCG@10: +0.00 % over P5"
    )
    assert found["abstract efficiency"].claim.recomputed == (
        "slower than 4 of 5 baselines (142 ms), more memory than 4"
    )
    assert "P5 0.718" in found["IV best hit@10"].claim.recomputed
    assert found["V sum diversity"].claim.recomputed == (
        "together +3.24 %; intra-list diversity +6.37 %, coverage@100 +8.55 %, novelty +4.04 %, "
        "fairness +2.51 %"
    )
    assert "Yelp-2023, which gives +0.00 %" in found["abstract NDCG@10"].claim.recomputed


CHANGES = [  # (claim, table, row, column, another number with which it would hold)
    ("IV-I Ours hit@10", "table_4", "Full Framework", "hit@10", "0.724"),
    ("IV best hit@10", "table_4", "Full Framework", "hit@10", "0.719"),
    ("I yelp-2023/ndcg@10", "table_1", "Ours", "yelp-2023/ndcg@10", "0.312"),
    ("abstract NDCG@10", "table_1", "Ours", "yelp-2023/ndcg@10", "0.312"),
    ("everywhere I", "table_1", "Ours", "yelp-2023/ndcg@10", "0.306"),
    ("II novelty", "table_2", "P5", "novelty", "0.459"),
    ("everywhere II", "table_2", "P5", "novelty", "0.459"),
    ("II fairness", "table_2", "Improve.", "fairness", "+0.4%"),
    ("abstract diversity", "table_2", "Ours", "coverage@100", "0.2545"),
    ("V Causal Debiasing hit@10", "table_5", "Causal Debiasing", "hit@10_improvement", "+0.4%"),
    ("V sum hit@10", "table_5", "Synergistic Effect", "hit@10_improvement", "+0.3%"),
    ("I ml-25m/hit@10", "table_1", "Improve.", "ml-25m/hit@10", "+0.8%"),
    ("V sum diversity", "table_2", "Ours", "novelty", "0.4594"),
]


@pytest.mark.parametrize(("key", "table", "row", "column", "number"), CHANGES)
def test_the_verdict_follows_the_printed_cell(paper, key, table, row, column, number):
    assert entries(paper)[key].verdict in (CONTRADICTED, ROUNDED)
    assert paper[table][row, column] != number
    paper[table][row, column] = number
    assert entries(paper)[key].verdict not in (CONTRADICTED, ROUNDED)


def test_the_order_and_efficiency_follow_their_columns_too(paper):
    for column in ("hit@10_improvement", "ndcg@10_improvement"):
        paper["table_5"]["Causal Debiasing", column] = "+0.9%"
    for column in ("inference_time_ms", "memory_gb"):
        paper["table_3"]["Ours", column] = "5"
    found = entries(paper)
    assert found["V order"].verdict != CONTRADICTED
    assert found["abstract efficiency"].verdict != CONTRADICTED


def test_a_true_percentage_made_false_is_contradicted(paper):
    assert entries(paper)["I ml-25m/ndcg@10"].verdict == "not run"
    paper["table_1"]["Improve.", "ml-25m/ndcg@10"] = "+1.9%"
    entry = entries(paper)["I ml-25m/ndcg@10"]
    assert (entry.verdict, entry.reason) == (
        CONTRADICTED,
        "rounding does not explain the difference",
    )


def test_every_printed_percentage_is_a_claim(paper):
    found = entries(paper)
    cells = [c for t in ("table_1", "table_2") for (row, c) in paper[t] if row == "Improve."]
    assert sum(key.startswith(("I ", "II ")) for key in found) == len(cells) == 10
    assert sum(key.startswith("V ") for key in found) == len(paper["table_5"]) + 4
    assert len({entry.claim.key for entry in ledger(paper, [], [])}) == len(found)


def test_what_the_papers_own_tables_agree_on_is_supported(paper):
    assert entries(paper)["IV-I GenRec hit@10"].verdict == "supported"
    paper["table_4"]["Baseline (GenRec)", "hit@10"] = "0.691"
    assert entries(paper)["IV-I GenRec hit@10"].verdict == CONTRADICTED
