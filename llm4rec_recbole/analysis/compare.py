"""Compares every method of a table with its best baseline: results/comparisons.csv.

    python -m llm4rec_recbole.analysis.compare --results results

For each data set, protocol, ranking and metric, the baseline with the best mean is the one that
every other method is compared with, this project's own model included, which is never a baseline.
Holm's adjustment runs over all the t tests of one table. As the best baseline is chosen on the
same users, a baseline's distance from it is slightly overstated, this project's model's lead over
it slightly understated.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from llm4rec_recbole.analysis import significance
from llm4rec_recbole.analysis.comparisons import FILE, Comparison, write_comparisons
from llm4rec_recbole.analysis.per_user import Values, per_user_values
from llm4rec_recbole.analysis.records import RANKINGS, by_method, read_records
from llm4rec_recbole.analysis.table_rows import OURS, table_methods
from llm4rec_recbole.errors import InputError

METRICS = ("hit@10", "ndcg@10")  # those that Table I prints


def best_baseline(means: dict[str, float]) -> str | None:
    """The baseline with the largest mean, the first of several equal ones; None without one."""
    baselines = [method for method in means if method != OURS]
    return max(baselines, key=means.__getitem__) if baselines else None


def compare(results: Path, recbole_row: str = "BPR") -> list[Comparison]:
    """All comparisons of Table I, in the order of its sections, columns and rows."""
    found: list[Comparison] = []
    grouped = by_method(read_records(results), table_methods(recbole_row))
    for (dataset, protocol), methods in grouped.items():
        found += _section(dataset, protocol, per_user_values(methods))
    adjusted = significance.holm(np.array([row.p_t for row in found]))
    return [replace(row, p_holm=float(p)) for row, p in zip(found, adjusted)]


def _section(dataset: str, protocol: str, values: dict[str, Values]) -> list[Comparison]:
    pairs, columns = [], []
    for ranking in RANKINGS:
        for metric in METRICS:
            users = {method: its[ranking, metric] for method, its in values.items()}
            baseline = best_baseline({method: float(v.mean()) for method, v in users.items()})
            for method in users:
                if baseline is not None and method != baseline:
                    pairs.append((ranking, metric, method, baseline))
                    columns.append(users[method] - users[baseline])
    if not pairs:
        return []
    differences = np.stack(columns, axis=1)  # (U, C)
    if len(differences) < 2:
        raise InputError(f"{dataset} {protocol} has one test user: a test needs two")
    low, high = significance.bootstrap_interval(differences)
    numbers = zip(
        differences.mean(axis=0).tolist(),
        low.tolist(),
        high.tolist(),
        significance.effect_size(differences).tolist(),
        significance.paired_t(differences).tolist(),
        significance.randomization(differences).tolist(),
        significance.smallest_detectable(differences).tolist(),
    )
    return [
        Comparison("table_1", dataset, protocol, *pair, difference, lower, upper, d, p_t, p_r,
                   p_holm=1.0, users=len(differences), smallest_detectable=detectable)
        for pair, (difference, lower, upper, d, p_t, p_r, detectable) in zip(pairs, numbers)
    ]  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Write results/comparisons.csv; returns the exit code, 2 for bad input."""
    parser = argparse.ArgumentParser(description="Compare each method with the best baseline.")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of the runs")
    parser.add_argument("--recbole-row", default="BPR", help='method of the paper\'s "RecBole" row')
    options = parser.parse_args(arguments)
    try:
        comparisons = compare(options.results, options.recbole_row)
        write_comparisons(options.results / FILE, comparisons)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(comparisons)} comparisons in {options.results / FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
