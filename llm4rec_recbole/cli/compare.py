"""`llm4rec compare`: write results/comparisons.csv, which holds every test of the tables."""

from __future__ import annotations

import argparse
import sys

from llm4rec_recbole.analysis.compare import FILE, compare, write_comparisons
from llm4rec_recbole.cli.options import add_data_option, add_recbole_row_option, add_results_option
from llm4rec_recbole.errors import InputError


def main(arguments: list[str] | None = None) -> int:
    """Write results/comparisons.csv; returns the exit status, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="llm4rec compare", description="Test every difference that the tables show."
    )
    add_results_option(parser)
    add_data_option(parser)
    add_recbole_row_option(parser)
    options = parser.parse_args(arguments)
    try:
        comparisons = compare(options.results, options.recbole_row, options.data)
        write_comparisons(options.results / FILE, comparisons)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(comparisons)} comparisons in {options.results / FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
