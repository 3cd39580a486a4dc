"""`llm4rec fairness_null`: write results/fairness_null.csv, fairness with shuffled user groups."""

from __future__ import annotations

import argparse
import sys

from llm4rec_recbole.analysis.fairness_null import FILE, NullRange, null_ranges
from llm4rec_recbole.cli.options import add_data_option, add_results_option
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.records import write_rows


def main(arguments: list[str] | None = None) -> int:
    """Write results/fairness_null.csv; returns the exit status, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="llm4rec fairness_null",
        description="Compute the range of user fairness when user groups are shuffled.",
    )
    add_results_option(parser)
    add_data_option(parser)
    options = parser.parse_args(arguments)
    try:
        rows = null_ranges(options.results, options.data)
        write_rows(options.results / FILE, NullRange, rows)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(rows)} runs in {options.results / FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
