"""`llm4rec pair METHOD BASELINE`: test the differences between two methods.

    llm4rec pair EnhancedGenRec SASRec --results benchmarks/results/without_amx

The tables compare every method with the best baseline. This command compares any two methods and
writes no file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from llm4rec_recbole.analysis.compare_two import render
from llm4rec_recbole.errors import InputError

NOTE = (
    "Values are per user, averaged over seeds first. One comparison that was planned in advance "
    "needs no adjustment. The best of several comparisons does: see comparisons.csv."
)


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; returns the exit status, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="llm4rec pair", description="Test the differences between two methods."
    )
    parser.add_argument("method", help="the method to test")
    parser.add_argument("baseline", help="the method to compare it with")
    parser.add_argument("--results", type=Path, default=Path("results"),
                        help="folder with runs/ and users/ (%(default)s)")  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        for text in render(options.results, options.method, options.baseline):
            print(f"{text}\n")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(NOTE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
