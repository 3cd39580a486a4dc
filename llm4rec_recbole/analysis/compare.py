"""Compares every method of a table with its best baseline: results/comparisons.csv.

    python -m llm4rec_recbole.analysis.compare --results results

For each data set, protocol, ranking and metric, the baseline with the best mean is the one that
every other method is compared with, this project's own model included, which is never a baseline.
Holm's adjustment runs over all the t tests of one table. Coverage and fairness are numbers of a
whole run, which no user has a part in: they are not tested. As the best baseline is chosen on the
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
from llm4rec_recbole.evaluation.users_file import BEYOND_ACCURACY

METRICS = ("hit@10", "ndcg@10")  # those that Table I prints
#: What is compared for each table, (ranking, metric); of Table II what each user has a value of.
COLUMNS = {
    "table_1": [(ranking, metric) for ranking in RANKINGS for metric in METRICS],
    "table_2": [("full", metric) for metric in BEYOND_ACCURACY],
}


def best_baseline(means: dict[str, float]) -> str | None:
    """The baseline with the largest mean, the first of several equal ones; None without one."""
    baselines = [method for method in means if method != OURS]
    return max(baselines, key=means.__getitem__) if baselines else None


def compare(results: Path, recbole_row: str = "BPR") -> list[Comparison]:
    """All comparisons of Tables I and II, in the order of their sections, columns and rows."""
    grouped = by_method(read_records(results), table_methods(recbole_row))
    values = {place: per_user_values(methods) for place, methods in grouped.items()}
    found = []
    for table, columns in COLUMNS.items():
        rows = []
        for (dataset, protocol), its_values in values.items():
            for known, together in _by_known_users(its_values, columns):
                rows += _section(table, dataset, protocol, known, together)
        adjusted = significance.holm(np.array([row.p_t for row in rows]))
        found += [replace(row, p_holm=float(p)) for row, p in zip(rows, adjusted)]
    return found


def _by_known_users(
    values: dict[str, Values], columns: list[tuple[str, str]]
) -> list[tuple[dict[str, Values], list[tuple[str, str]]]]:
    """Columns that the same users have values of, with the values of those users.

    A user for whom one method's list has no value is left out of that column for all methods.
    """
    groups: dict[bytes, list[tuple[str, str]]] = {}
    for column in columns:
        known = ~np.isnan([its[column] for its in values.values()]).any(axis=0)  # (U,)
        if known.any():
            groups.setdefault(known.tobytes(), []).append(column)
    found = []
    for mask, together in groups.items():
        known = np.frombuffer(mask, dtype=bool)
        kept = {m: {c: its[c][known] for c in together} for m, its in values.items()}
        found.append((kept, together))
    return found


def _section(
    table: str,
    dataset: str,
    protocol: str,
    values: dict[str, Values],
    of: list[tuple[str, str]],
) -> list[Comparison]:
    pairs, columns = [], []
    for ranking, metric in of:
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
        Comparison(table, dataset, protocol, *pair, difference, lower, upper, d, p_t, p_r,
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
