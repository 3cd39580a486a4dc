"""Two methods of your choice: what lies between them, and whether it is more than chance.

    llm4rec pair EnhancedGenRec SASRec --results benchmarks/results/without_amx

The tables compare each method with the best baseline; this compares any two whose records and users
files are there, and writes nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from llm4rec_recbole.analysis.compare import COLUMNS, Comparison, differences, tested
from llm4rec_recbole.analysis.paper.tables import Pairing, Pairs
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


def texts(results: Path, method: str, baseline: str) -> Iterator[str]:
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
            for together in differences(values, columns, _of(method, baseline))
            for test in tested("pair", (dataset, protocol), together)
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


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; returns the exit code, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="llm4rec pair", description="What lies between two methods, and is it chance?"
    )
    parser.add_argument("method")
    parser.add_argument("baseline", help="what it is compared with")
    parser.add_argument("--results", type=Path, default=Path("results"),
                        help="folder of runs and users files")  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        for text in texts(options.results, options.method, options.baseline):
            print(f"{text}\n")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("Over users, each the mean of its seeds. One comparison that was chosen beforehand needs "
          "no adjustment; of several, the best one does: see comparisons.csv.")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
