"""The gain of EnhancedGenRec over other methods, pooled over data sets.

On each data set the gain is the log of the ratio of two means over the same users, full ranking
(pooling.log_ratio). Random effects pool the data sets on which both methods ran.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llm4rec_recbole.analysis.compare import best_null, best_on_validation
from llm4rec_recbole.analysis.paper.paper_methods import OURS, paper_baselines
from llm4rec_recbole.analysis.pooling import Pooled, log_ratio, random_effects
from llm4rec_recbole.evaluation.records import Record
from llm4rec_recbole.evaluation.users_file import Values, per_seed_values

#: Rows that compare with another method on each data set.
BEST_BASELINE, BEST_NULL = "the best of the paper's five", "the best reference or null"
Runs = Mapping[str, list[Record]]  # method -> its seeds


@dataclass(frozen=True)
class Gains:
    """The gain over one method in one metric."""

    over: str
    metric: str
    log_ratios: dict[str, tuple[float, float]]  # data set -> log-ratio, its variance
    compared_with: dict[str, str]  # data set -> the method
    pooled: Pooled | None  # None with fewer than two data sets


def gains(
    datasets: Mapping[str, Runs], metrics: Sequence[str], recbole_row: str = "BPR"
) -> list[Gains]:
    """The gains over each method that ran, over the best baseline and over the best null.

    The best baseline and the best null have the highest validation NDCG@10. A data set without
    users files is left out.
    """
    values = {name: _values(runs) for name, runs in datasets.items()}
    others = dict.fromkeys(m for runs in datasets.values() for m in runs if m != OURS)
    rivals: dict[str, dict[str, str]] = {
        method: {name: method for name, its in values.items() if method in its} for method in others
    }
    best = {name: best_on_validation(runs, paper_baselines(recbole_row))
            for name, runs in datasets.items()}  # fmt: skip
    nulls = {name: best_null(runs, OURS) for name, runs in datasets.items()}
    rivals[BEST_BASELINE] = {name: method for name, method in best.items() if method}
    rivals[BEST_NULL] = {name: method for name, method in nulls.items() if method}
    return [
        _gains(over, metric, compared_with, values)
        for over, compared_with in rivals.items()
        for metric in metrics
    ]


def _values(runs: Runs) -> dict[str, Values]:
    """The values (S, U) of the methods whose users files are all there; {} without ours."""
    there = {
        method: records
        for method, records in runs.items()
        if all(record.users_path.is_file() for record in records)
    }
    return per_seed_values(there) if OURS in there else {}


def _gains(
    over: str,
    metric: str,
    compared_with: Mapping[str, str],
    values: Mapping[str, Mapping[str, Values]],
) -> Gains:
    ratios, methods = {}, {}
    for dataset, method in compared_with.items():
        its = values[dataset]
        if method in its:
            ours, other = its[OURS]["full", metric], its[method]["full", metric]
            if ours.any() and other.any():
                ratios[dataset], methods[dataset] = log_ratio(ours, other), method
    effects, variances = np.array([*ratios.values()]).reshape(-1, 2).T
    able = len(ratios) > 1 and bool((variances > 0).all())
    pooled = random_effects(effects, variances) if able else None
    return Gains(over, metric, ratios, methods, pooled)
