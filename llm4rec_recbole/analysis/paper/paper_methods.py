"""Which method fills which row of the tables, under which name, and which pairs are compared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import pairwise

import numpy as np

from llm4rec_recbole.registry import nulls

OURS = "EnhancedGenRec"
REFERENCES = ("Pop", "ItemKNN", "EASE", "RecencyEASE", "SASRec")
#: Methods without randomness: one run is all there is.
DETERMINISTIC = ("Pop", "ItemKNN", "EASE", "RecencyEASE")

RANKING_NAMES = {"full": "Full", "uni100": "Uniform-100", "pop100": "Popular-100"}
METRIC_NAMES = {
    "hit@5": "HR@5",
    "hit@10": "HR@10",
    "ndcg@5": "NDCG@5",
    "ndcg@10": "NDCG@10",
    "intra_list_diversity@10": "ILD@10",
    "coverage@10": "Cov@10",
    "coverage@100": "Cov@100",
    "novelty@10": "Novelty@10",
    "fairness@10": "Fairness@10",
    "user_fairness@10": "Users@10",
    "item_exposure@10": "Items@10",
}
#: Methods whose options are not searched, because a trial takes too long; their rows say so.
NOT_SEARCHED = ("P5", "GenRec")
#: The groups of rows of Tables I to III, in order.
PAPERS, REFERENCE, NULL, OTHER = "The paper's methods", "References", "Nulls", "Other methods"


def paper_rows(recbole_row: str) -> dict[str, str]:
    """The paper's row labels, in its order, and the method that fills each.

    "RecBole" is a framework, not a model. The row holds its quick-start default, BPR, unless
    `recbole_row` names another method.
    """
    return {
        "GenRec": "GenRec",
        "P5": "P5",
        "RecBole": recbole_row,
        "LightGCN": "LightGCN",
        "BERT4Rec": "BERT4Rec",
        "Ours": OURS,
    }


def paper_baselines(recbole_row: str = "BPR") -> tuple[str, ...]:
    """The methods of the paper's five baselines, in its order."""
    return tuple(method for method in paper_rows(recbole_row).values() if method != OURS)


def table_methods(recbole_row: str, further: Collection[str] = ()) -> tuple[str, ...]:
    """The methods of Tables I to III in order of row: the paper's, references, `further` ones."""
    return (*paper_rows(recbole_row).values(), *REFERENCES, *further)


def further_methods(recorded: Collection[str], recbole_row: str) -> tuple[str, ...]:
    """The `recorded` methods that no table names: nulls, then a user's own models, by name."""
    others = {*recorded} - {*table_methods(recbole_row)}
    user_models = sorted(others - nulls().keys() - {*METHODS})
    return (*(null for null in nulls() if null in others), *user_models)


def group_of(method: str, recbole_row: str = "BPR") -> str:
    """The group of a method's row in Tables I to III."""
    if method in paper_rows(recbole_row).values():
        return PAPERS
    return REFERENCE if method in REFERENCES else NULL if method in nulls() else OTHER


def row_label(method: str, recbole_row: str = "BPR", size: str = "") -> str:
    """The name of a method's row, such as "RecBole (BPR)" and "GenRec (2 of 30 layers)".

    size: what the method's run is smaller in than its name promises, from its record.
    """
    labels = {filler: label for label, filler in paper_rows(recbole_row).items()}
    label = labels.get(method) or nulls().get(method, {}).get("label", method)
    remark = method if label in labels.values() and label != method else size
    return f"{label} ({remark})" if remark else label


# Tables IV and V: which run fills which row, and which runs each row compares.
#
#     Table IV   components are added one by one; a row is compared with the row above
#     Table V    each component alone, compared with the backbone; the synergy is what the whole
#                gains beyond the sum of the parts
#
#     step      = row - row above                          (per user, averaged over seeds first)
#     part      = component alone - backbone
#     synergy   = (all five - backbone) - Σ parts
#
# The paper's Table IV has a row "+ Adaptive Learning" and then "Full Framework", but the former has
# all five components already. One run fills both rows. The last row is compared with the first.


BACKBONE = f"{OURS}_none"

#: The rows of Table IV, as the paper labels them, and the method whose runs fill each.
TABLE_4 = {
    "Baseline (GenRec)": BACKBONE,
    "+ Multimodal Fusion": "GenRecFusion",  # the first step is the first component alone
    "+ Retrieval Augment.": f"{OURS}_fusion_retrieval",
    "+ Causal Debiasing": f"{OURS}_fusion_retrieval_debiasing",
    "+ Explainability": f"{OURS}_fusion_retrieval_debiasing_explanation",
    "+ Adaptive Learning": OURS,
    "Full Framework": OURS,
}
#: Rows of Table IV whose label in the paper is not what our run is.
TABLE_4_LABELS = {"Baseline (GenRec)": f"{OURS} without components (paper: GenRec)"}
SYNERGY = "Synergistic Effect"
#: The rows of Table V; each component runs alone, on the backbone.
TABLE_5 = {
    "Multimodal Fusion": "GenRecFusion",
    "Retrieval Augment.": "GenRecRetrieval",
    "Causal Debiasing": "GenRecDebias",
    "Explainability": "GenRecExplain",
    "Adaptive Learning": "GenRecAdapt",
    SYNERGY: OURS,
}
#: The rows of Tables IV and V, and the part of the method whose nulls judge each.
PARTS = {
    "+ Multimodal Fusion": "fusion",
    "+ Retrieval Augment.": "retrieval",
    "+ Causal Debiasing": "debiasing",
    "+ Explainability": "explanation",
    "+ Adaptive Learning": "adaptation",
    "Full Framework": "whole",
    "Multimodal Fusion": "fusion",
    "Retrieval Augment.": "retrieval",
    "Causal Debiasing": "debiasing",
    "Explainability": "explanation",
    "Adaptive Learning": "adaptation",
}
#: Every method that Tables IV and V need a run of.
METHODS = tuple(dict.fromkeys([*TABLE_4.values(), *TABLE_5.values()]))
SUM = "sum of the parts"  # what the synergy is compared with

#: For each row of Table IV but the first, the two methods that it compares.
STEPS = {
    after: (TABLE_4[after], TABLE_4[before])
    for before, after in pairwise([label for label in TABLE_4 if label != "Full Framework"])
} | {"Full Framework": (OURS, BACKBONE)}
#: For each row of Table V, the two sides that it compares.
CONTRIBUTIONS = {
    label: (OURS, SUM) if label == SYNERGY else (method, BACKBONE)
    for label, method in TABLE_5.items()
}
#: The paper's text ranks these two components, so they are compared with each other as well.
RANKED = ("GenRecDebias", "GenRecRetrieval")

#: (method, baseline, their differences (U,)), for every comparison of a column of a table.
Pairs = Iterator[tuple[str, str, np.ndarray]]
#: Makes them from the values (U,) of each method in that column.
Pairing = Callable[[dict[str, np.ndarray]], Pairs]


def pairing(pairs: Sequence[tuple[str, str]]) -> Pairing:
    """Compares those of the given pairs whose two methods have been run."""

    def compared(values: dict[str, np.ndarray]) -> Pairs:
        for method, baseline in pairs:
            if method in values and baseline in values:
                yield method, baseline, values[method] - values[baseline]

    return compared


def contributions(values: dict[str, np.ndarray]) -> Pairs:
    """The comparisons of Table V whose methods have been run; values: method -> (U,)."""
    for method, baseline in [*CONTRIBUTIONS.values(), RANKED]:
        if baseline == SUM:
            if values.keys() >= {BACKBONE, *TABLE_5.values()}:
                yield method, baseline, synergy(values)
        elif method in values and baseline in values:
            yield method, baseline, values[method] - values[baseline]


def synergy(values: dict[str, np.ndarray]) -> np.ndarray:
    """What all five components gain together beyond what they gain one by one, (U,)."""
    alone = [values[method] - values[BACKBONE] for method in TABLE_5.values() if method != OURS]
    return values[OURS] - values[BACKBONE] - np.sum(alone, axis=0)


#: Table -> what it compares, and the (ranking, metric) columns in which it does.
TABLES: dict[str, tuple[Pairing, list[tuple[str, str]]]] = {
    "table_4": (pairing([*STEPS.values()]),
                [("full", m) for m in ("hit@5", "hit@10", "ndcg@5", "ndcg@10")]),
    "table_5": (contributions,
                [("full", m) for m in ("hit@10", "ndcg@10", "intra_list_diversity@10")]),
}  # fmt: skip
