"""The paired differences between any two methods that have run records and users files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from llm4rec_recbole.analysis.compare import METRICS, averaged, pairing
from llm4rec_recbole.analysis.equivalence import MARGIN
from llm4rec_recbole.analysis.paired_tests import (
    Comparison,
    conclusion,
    paired_tests,
    per_user_differences,
)
from llm4rec_recbole.analysis.paper.paper_methods import METRIC_NAMES
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.records import RANKINGS, by_method, read_records
from llm4rec_recbole.evaluation.users_file import BEYOND_ACCURACY, Values, per_seed_values

COLUMNS = [(ranking, metric) for ranking in RANKINGS for metric in METRICS]
COLUMNS += [("full", metric) for metric in BEYOND_ACCURACY]
HEADERS = ("difference", "95 % interval", "p, t test", "p, random signs", "conclusion")


def render(results: Path, method: str, baseline: str, margin: float = MARGIN) -> Iterator[str]:
    """For each data set and protocol that both methods have run on: a heading, then a table.

    margin: differences below this share of the baseline's mean are practically none.
    Raises InputError when there is none, and for bad files.
    """
    from tabulate import tabulate

    records = read_records(results)
    grouped = by_method(records, (method, baseline))
    settings = {setting: runs for setting, runs in grouped.items() if {method, baseline} <= {*runs}}
    if not settings or method == baseline:
        recorded = sorted({record.method for record in records})
        raise InputError(
            f"{method} and {baseline} have not both run on one data set",
            file=results / "runs",
            hint=f"two of {', '.join(recorded)}" if recorded else "run something",
        )
    for (dataset, protocol), runs in settings.items():
        seeds = per_seed_values(runs)
        values = averaged(seeds)
        users = len(next(iter(values[method].values())))
        counts = " and ".join(f"{len(its)} of {name}" for name, its in runs.items())
        yield f"{dataset}, {protocol}: {users} users; runs: {counts}"
        rows = [
            [
                test.ranking,
                METRIC_NAMES[test.metric],
                *_means(test, values),
                *_difference(test),
                _conclusion(test, difference, seeds, margin),
            ]
            for group in per_user_differences(values, COLUMNS, pairing([(method, baseline)]))
            for test, (_, difference) in zip(
                paired_tests("pair", (dataset, protocol), group, seeds), group
            )
        ]
        headers = ("ranking", "metric", method, baseline, *HEADERS)
        yield tabulate(rows, headers=headers, disable_numparse=True)


def _means(test: Comparison, values: dict[str, Values]) -> list[str]:
    """Both means over the users for whom both methods have a value."""
    both = np.stack([values[m][test.ranking, test.metric] for m in (test.method, test.baseline)])
    return [f"{mean:.4f}" for mean in both[:, ~np.isnan(both).any(axis=0)].mean(axis=1)]


def _difference(test: Comparison) -> list[str]:
    interval = f"{test.low:+.4f} to {test.high:+.4f}"
    return [f"{test.difference:+.4f}", interval, f"{test.p_t:.2g}", f"{test.p_randomization:.2g}"]


def _conclusion(
    test: Comparison, differences: np.ndarray, seeds: dict[str, Values], margin: float
) -> str:
    """Better, equivalent, worse or undecided; sampled rankings carry no claim and get none."""
    if test.ranking != "full" or test.metric not in METRICS:
        return ""
    return conclusion(test, differences, seeds, margin, test.p_t)
