"""Rows with numbers that are all different, so that one taken for another is noticed."""

from __future__ import annotations

from pathlib import Path

from llm4rec_recbole.analysis.paired_tests import Comparison
from llm4rec_recbole.evaluation.record_reader import Failure, Record
from llm4rec_recbole.reporting.tables.rows import AccuracySection, Column, Row

FULL = ("full", "ndcg@10")
PRINTED = ("GenRec", "P5", "BPR", "LightGCN", "BERT4Rec", "EnhancedGenRec")
PAPER = {"GenRec": "0.692", "P5": "0.718", "EnhancedGenRec": "0.724"}


def comparison(
    baseline: str, difference: float, low: float, high: float, **more: float
) -> Comparison:
    """NDCG@10 of EnhancedGenRec minus that of `baseline`, in full ranking."""
    numbers = {"p_holm": 0.01, "smallest_detectable": 0.02} | more
    compared = ("table_1", "ml-100k", "loo", *FULL, "EnhancedGenRec", baseline)
    return Comparison(*compared, difference, low, high, d=0.1, p_t=0.001, p_randomization=0.002,
                      users=943, **numbers)  # fmt: skip


def record(method: str, **more: object) -> Record:
    """The run of a method, with what the figures take from it."""
    path = Path(f"runs/ml-100k/loo/{method}/seed_1.json")
    given = {"beyond_accuracy": {}, "cost": {}, "history": []} | more
    return Record("ml-100k", "loo", method, 1, path, path, accuracy={}, provenance={},
                  fairness_of=frozenset(), fairness_null={}, energy_missing=None, **given)  # type: ignore[arg-type]  # fmt: skip


def row(
    method: str,
    level: float | None = None,
    *,
    test: Comparison | None = None,
    failed: int = 0,
    **more: object,
) -> Row:
    """A method whose six numbers follow from one `level`; None: it has no run."""
    ours: dict[Column, float] = {}
    if level is not None:
        for ranking, times in (("full", 1.0), ("pop100", 2.0), ("uni100", 3.0)):
            ours |= {(ranking, "ndcg@10"): times * level, (ranking, "hit@10"): times * level + 0.05}
    printed = {"hit@10": PAPER[method]} if method in PAPER else {}
    failures = [Failure("ml-100k", "loo", method, 7 + n, "no memory") for n in range(failed)]
    records = [] if level is None else [record(method, **more)]
    tests = {} if test is None else {FULL: test}
    return Row(
        method, method if method in PRINTED else "", method, printed, ours, tests, records, failures
    )


def section(*rows: Row) -> AccuracySection:
    """ml-100k, loo."""
    users = 943 if any(each.ours for each in rows) else 0
    return AccuracySection("ml-100k", "loo", users, [*rows], "SASRec")
