"""The paired differences between any two methods that have run records and users files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from llm4rec_recbole.analysis.compare import (
    COLUMNS,
    Comparison,
    per_user_differences,
    test_differences,
)
from llm4rec_recbole.analysis.paper.paper_methods import Pairing, Pairs
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.per_user import Values, per_user_values
from llm4rec_recbole.evaluation.records import by_method, read_records

NAMES = {
    "hit@10": "HR@10",
    "ndcg@10": "NDCG@10",
    "intra_list_diversity@10": "ILD@10",
    "novelty@10": "Novelty@10",
}
HEADERS = ("difference", "95 % interval", "p, t test", "p, random signs")


def render(results: Path, method: str, baseline: str) -> Iterator[str]:
    """For each data set and protocol that both have run on, its heading and its table.

    Raises InputError when there is none, and for bad files.
    """
    from tabulate import tabulate

    grouped = by_method(read_records(results), (method, baseline))
    found = {place: both for place, both in grouped.items() if {method, baseline} <= {*both}}
    if not found or method == baseline:
        there = sorted({record.method for record in read_records(results)})
        raise InputError(
            f"{method} and {baseline} have not both run on one data set",
            file=results / "runs",
            hint=f"two of {', '.join(there)}" if there else "run something",
        )
    for (dataset, protocol), both in found.items():
        values = per_user_values(both)
        users = len(next(iter(values[method].values())))
        seeds = " and ".join(f"{len(runs)} of {name}" for name, runs in both.items())
        yield f"{dataset}, {protocol}: {users} users; runs: {seeds}"
        columns = [column for its in COLUMNS.values() for column in its]
        tests = [
            test
            for together in per_user_differences(values, columns, _of(method, baseline))
            for test in test_differences("pair", (dataset, protocol), together)
        ]
        rows = [[*_place(test), *_means(test, values), *_found(test)] for test in tests]
        headers = ("ranking", "metric", method, baseline, *HEADERS)
        yield tabulate(rows, headers=headers, disable_numparse=True)


def _of(method: str, baseline: str) -> Pairing:
    def pairs(values: dict[str, np.ndarray]) -> Pairs:
        yield method, baseline, values[method] - values[baseline]

    return pairs


def _place(test: Comparison) -> tuple[str, str]:
    return test.ranking, NAMES[test.metric]


def _means(test: Comparison, values: dict[str, Values]) -> list[str]:
    """Over the users for whom both have a value."""
    both = np.stack([values[m][test.ranking, test.metric] for m in (test.method, test.baseline)])
    return [f"{mean:.4f}" for mean in both[:, ~np.isnan(both).any(axis=0)].mean(axis=1)]


def _found(test: Comparison) -> list[str]:
    interval = f"{test.low:+.4f} to {test.high:+.4f}"
    return [f"{test.difference:+.4f}", interval, f"{test.p_t:.2g}", f"{test.p_randomization:.2g}"]
