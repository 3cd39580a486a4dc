"""`llm4rec dataset_table`: write paper_tables/table_1_data_sets, accuracy on every data set."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from llm4rec_recbole.cli.options import add_recbole_row_option, add_results_option
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import write_atomically
from llm4rec_recbole.reporting.tables import datasets
from llm4rec_recbole.reporting.tables.render import to_latex, to_markdown


def main(arguments: list[str] | None = None) -> int:
    """Write <out>/table_1_data_sets.md, .tex, .csv; returns the exit status, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="llm4rec dataset_table", description="Write Table I over all data sets."
    )
    add_results_option(parser)
    parser.add_argument("--other_results", type=Path, default=Path("benchmarks/results"),
                        help="folder of further results folders (%(default)s)")  # fmt: skip
    add_recbole_row_option(parser)
    parser.add_argument("--out", type=Path, default=Path("paper_tables"),
                        help="folder to write to (%(default)s)")  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        runs = datasets.read(options.results, options.other_results, options.recbole_row)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    table, csv = datasets.build(runs, options.recbole_row), datasets.to_csv(runs)
    for ending, text in ("md", to_markdown(table)), ("tex", to_latex(table)), ("csv", csv):
        write_atomically(options.out / f"{datasets.NAME}.{ending}", text)
    print(f"Table I over data sets: {options.out / datasets.NAME}.md, .tex, .csv")
    return 0


if __name__ == "__main__":
    sys.exit(main())
