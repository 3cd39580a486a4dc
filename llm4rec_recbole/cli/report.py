"""`llm4rec report`: write results/report.html, one page that loads nothing from elsewhere."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from llm4rec_recbole.cli.options import add_report_inputs
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import write_atomically
from llm4rec_recbole.reporting import inputs
from llm4rec_recbole.reporting.figures.accuracy_plots import rankings
from llm4rec_recbole.reporting.page.report import page


def main(arguments: list[str] | None = None) -> int:
    """Write the page and the README's figure; returns the exit status, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="llm4rec report", description="Write the report page.")
    add_report_inputs(parser)
    parser.add_argument("--out", type=Path, default=Path("results/report.html"),
                        help="the page (%(default)s)")  # fmt: skip
    parser.add_argument("--figure", type=Path, default=Path("results/rankings.svg"),
                        help="the README's figure (%(default)s)")  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        evidence = inputs.read(
            options.results, options.failures, options.printed, options.recbole_row
        )
        html = page(evidence, options.results)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_atomically(options.out, html)
    figures = [rankings("rankings", s, "hit@10", "HR@10") for s in evidence.sections]
    for figure in [figure for figure in figures if figure is not None][:1]:
        write_atomically(options.figure, figure.standalone())
    print(f"Report: {options.out}, {len(html.encode()) / 2**20:.2f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
