"""Commands that test differences: `llm4rec compare`, `pair`, `fairness_null`.

    llm4rec pair EnhancedGenRec SASRec --results benchmarks/results/without_amx

`compare` writes the tests of the tables. `pair` compares any two methods and writes no file.
"""

from __future__ import annotations

import argparse

from llm4rec_recbole.cli.options import (
    add_data_option,
    add_recbole_row_option,
    add_results_option,
)

PAIR_NOTE = (
    "Values are per user, averaged over seeds first. One comparison that was planned in advance "
    "needs no adjustment. The best of several comparisons does: see comparisons.csv. Where a "
    "method has several seeds, users and seeds are random. Equivalent: two one-sided tests reject "
    "every larger difference, in per cent of the baseline's mean."
)


def main(arguments: list[str] | None = None) -> int:
    """Write results/comparisons.csv. Raises InputError for bad input."""
    from llm4rec_recbole.analysis.compare import compare
    from llm4rec_recbole.analysis.paired_tests import FILE, write_comparisons

    parser = argparse.ArgumentParser(description="Test every difference that the tables show.")
    add_results_option(parser)
    add_data_option(parser)
    add_recbole_row_option(parser)
    options = parser.parse_args(arguments)
    comparisons = compare(options.results, options.recbole_row, options.data)
    write_comparisons(options.results / FILE, comparisons)
    print(f"{len(comparisons)} comparisons in {options.results / FILE}")
    return 0


def pair(arguments: list[str] | None = None) -> int:
    """Print the tables. Raises InputError for bad input."""
    from llm4rec_recbole.analysis.compare_two import render

    parser = argparse.ArgumentParser(description="Test the differences between two methods.")
    parser.add_argument("method", help="the method to test")
    parser.add_argument("baseline", help="the method to compare it with")
    add_results_option(parser)
    parser.add_argument("--margin", type=float, default=5.0,
                        help="smaller differences in per cent are none (%(default)g)")  # fmt: skip
    options = parser.parse_args(arguments)
    margin = options.margin / 100
    for text in render(options.results, options.method, options.baseline, margin):
        print(f"{text}\n")
    print(PAIR_NOTE)
    return 0


def fairness_null(arguments: list[str] | None = None) -> int:
    """Write results/fairness_null.csv. Raises InputError for bad input."""
    from llm4rec_recbole.analysis.fairness_null import FILE, NullRange, null_ranges
    from llm4rec_recbole.evaluation.records import write_rows

    parser = argparse.ArgumentParser(
        description="Compute the range of user fairness when user groups are shuffled.",
    )
    add_results_option(parser)
    add_data_option(parser)
    options = parser.parse_args(arguments)
    rows = null_ranges(options.results, options.data)
    write_rows(options.results / FILE, NullRange, rows)
    print(f"{len(rows)} runs in {options.results / FILE}")
    return 0
