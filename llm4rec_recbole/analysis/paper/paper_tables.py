"""The paper's tables: which method fills which row, which pairs are compared, printed numbers."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.registry import nulls

OURS = "EnhancedGenRec"
REFERENCES = ("Pop", "ItemKNN", "EASE", "RecencyEASE", "SLIST", "SASRec")
#: Methods without randomness: one run is all there is.
DETERMINISTIC = ("Pop", "ItemKNN", "EASE", "RecencyEASE", "SLIST")

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


#: Method → its row in the paper's tables, in their order. "RecBole" is a framework, not a model:
#: its row holds the default model.
PAPER_ROWS = {
    "GenRec": "GenRec",
    "P5": "P5",
    "BPR": "RecBole",
    "LightGCN": "LightGCN",
    "BERT4Rec": "BERT4Rec",
    OURS: "Ours",
}
#: The paper's five baselines, in its order.
PAPER_BASELINES = tuple(method for method in PAPER_ROWS if method != OURS)


def table_methods(recorded: Collection[str]) -> tuple[str, ...]:
    """The methods of Tables I to III in order of row: the paper's, references, and the others
    that are `recorded`."""
    return (*PAPER_ROWS, *REFERENCES, *further_methods(recorded))


def further_methods(recorded: Collection[str]) -> tuple[str, ...]:
    """The `recorded` methods that no table names: nulls, then a user's own models, by name."""
    others = {*recorded} - {*PAPER_ROWS, *REFERENCES}
    user_models = sorted(others - nulls().keys() - {*METHODS})
    return (*(null for null in nulls() if null in others), *user_models)


def group_of(method: str) -> str:
    """The group of a method's row in Tables I to III."""
    if method in PAPER_ROWS:
        return PAPERS
    return REFERENCE if method in REFERENCES else NULL if method in nulls() else OTHER


def row_label(method: str, size: str = "") -> str:
    """The name of a method's row, such as "RecBole (BPR)" and "GenRec (2 of 30 layers)".

    size: what the method's run is smaller in than its name promises, from its record.
    """
    label = PAPER_ROWS.get(method) or nulls().get(method, {}).get("label", method)
    remark = method if method in PAPER_ROWS and label != method else size
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
# all five components already. Our Full Framework, EnhancedGenRec, also has a SASRec beside the
# language model, which the paper does not have. The last row is compared with the first.


BACKBONE = f"{OURS}_none"
ALL_FIVE = f"{OURS}_fusion_retrieval_debiasing_explanation_adaptation"

#: The rows of Table IV, as the paper labels them, and the method whose runs fill each.
TABLE_4 = {
    "Baseline (GenRec)": BACKBONE,
    "+ Multimodal Fusion": "GenRecFusion",  # the first step is the first component alone
    "+ Retrieval Augment.": f"{OURS}_fusion_retrieval",
    "+ Causal Debiasing": f"{OURS}_fusion_retrieval_debiasing",
    "+ Explainability": f"{OURS}_fusion_retrieval_debiasing_explanation",
    "+ Adaptive Learning": ALL_FIVE,
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
    SYNERGY: ALL_FIVE,
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
    label: (ALL_FIVE, SUM) if label == SYNERGY else (method, BACKBONE)
    for label, method in TABLE_5.items()
}
#: The paper's text ranks these two components, so they are compared with each other as well.
RANKED = ("GenRecDebias", "GenRecRetrieval")

#: (method, baseline, their differences (U,)), for every comparison of a column of a table.
Pairs = Iterator[tuple[str, str, np.ndarray]]
#: Makes them from the values (U,) of each method in that column.
Pairing = Callable[[dict[str, np.ndarray]], Pairs]


def pairing(pairs: Sequence[tuple[str, str]]) -> Pairing:
    """Compares the given pairs, as far as both methods have been run."""

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
    alone = [values[method] - values[BACKBONE] for method in TABLE_5.values() if method != ALL_FIVE]
    return values[ALL_FIVE] - values[BACKBONE] - np.sum(alone, axis=0)


#: Table -> what it compares, and the (ranking, metric) columns in which it does.
TABLES: dict[str, tuple[Pairing, list[tuple[str, str]]]] = {
    "table_4": (pairing([*STEPS.values()]),
                [("full", m) for m in ("hit@5", "hit@10", "ndcg@5", "ndcg@10")]),
    "table_5": (contributions,
                [("full", m) for m in ("hit@10", "ndcg@10", "intra_list_diversity@10")]),
}  # fmt: skip


# The paper's printed numbers.

#: Our data set -> the paper's, as the columns of the printed tables call it.
STANDS_FOR = {
    "ml-100k": "ml-25m",
    "ml-latest-small": "ml-25m",
    "ml-1m": "ml-25m",
    "ml-25m": "ml-25m",
    "amazon-electronics": "amazon-electronics",
    "yelp-2023": "yelp-2023",
}
DATASET_NAMES = {
    "ml-25m": "MovieLens-25M",
    "amazon-electronics": "Amazon-Electronics",
    "yelp-2023": "Yelp-2023",
}


#: (row label, column) → the cell as the paper prints it.
Printed = dict[tuple[str, str], str]


def read_printed_table(path: Path) -> Printed:
    """The cells of a printed table, in the paper's order.

    The first column has the labels. Raises InputError if the file is missing or a row has more or
    fewer cells than the header.
    """
    printed: Printed = {}
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            _, *columns = next(rows)
            for label, *cells in rows:
                if len(cells) != len(columns):
                    raise InputError("not as many cells as columns", file=path, line=rows.line_num)
                printed |= {(label, column): cell for column, cell in zip(columns, cells)}
    except (FileNotFoundError, StopIteration, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("not a table of the paper", file=path) from error
    return printed


def dataset_heading(dataset: str) -> str:
    """The data set our numbers are for, and the paper's that it stands in for."""
    paper = STANDS_FOR.get(dataset)
    if paper is None:
        return f"{dataset} (not in the paper)"
    return f"{dataset} (the paper: {DATASET_NAMES[paper]})" if paper == dataset else (
        f"{dataset}, standing in for the paper's {DATASET_NAMES[paper]}"
    )  # fmt: skip


# The paper's percentages worked out again from its own printed numbers, rounding considered.
#
# A printed number stands for anything that rounds to it: 0.718 for 0.7175 to 0.7185. So a gain is
# known as an interval, and where a printed percentage is not the one that the printed numbers give,
# the interval says whether rounding alone can be the reason.


@dataclass(frozen=True)
class Gain:
    """A change in per cent: from the printed numbers, and the least and most they can stand for."""

    percent: Decimal
    low: Decimal
    high: Decimal

    def equals(self, printed: str) -> bool:
        """Do the printed numbers give `printed`, such as "+0.9%", to its last digit?"""
        claimed = per_cent(printed)
        return self.percent.quantize(claimed, ROUND_HALF_UP) == claimed

    def allows(self, printed: str) -> bool:
        """Can numbers that round to the printed ones give a change that rounds to `printed`?"""
        claimed, half = per_cent(printed), _half_unit(per_cent(printed))
        return self.low <= claimed + half and self.high >= claimed - half

    def __str__(self) -> str:
        return f"{self.percent.quantize(Decimal('0.01'), ROUND_HALF_UP):+} %"


def per_cent(printed: str) -> Decimal:
    """The number in "+0.9%". Raises decimal.InvalidOperation when there is none."""
    return Decimal(printed.rstrip("% "))


def gain(new: str, old: str) -> Gain:
    """How much larger `new` is than `old`, both as printed."""
    a, b = Decimal(new), Decimal(old)
    half_a, half_b = _half_unit(a), _half_unit(b)
    return Gain(
        100 * (a / b - 1),
        100 * ((a - half_a) / (b + half_b) - 1),
        100 * ((a + half_a) / (b - half_b) - 1),
    )


def compounded(printed: Sequence[str]) -> Gain:
    """One gain after another, such as the gains of the components in Table V."""
    product = low = high = Decimal(1)
    for text in printed:
        value, half = per_cent(text), _half_unit(per_cent(text))
        product *= 1 + value / 100
        low *= 1 + (value - half) / 100
        high *= 1 + (value + half) / 100
    return Gain(100 * (product - 1), 100 * (low - 1), 100 * (high - 1))


def _half_unit(number: Decimal) -> Decimal:
    """Half a unit of the last printed digit."""
    return Decimal((0, (5,), int(number.as_tuple().exponent) - 1))
