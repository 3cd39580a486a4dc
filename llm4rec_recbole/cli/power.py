"""`llm4rec power`: how many users a claim needs, from committed ranks.

    llm4rec power --claim "+0.7% hit@10" --pilot ml-1m
    llm4rec power --out docs/power.md

Without a claim it prints a table of all gains that the paper claims.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from llm4rec_recbole.cli.options import add_results_option
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import write_atomically


def main(arguments: list[str] | None = None) -> int:
    """Print or write the table; returns the exit status, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="llm4rec power", description="How many users a claim needs, from committed ranks."
    )
    parser.add_argument("--claim", help='one claim, such as "+0.7%% hit@10" (all of the paper\'s)')
    parser.add_argument("--pilot", help="only this data set as a pilot, such as ml-1m (all)")
    add_results_option(parser)
    parser.add_argument("--other_results", type=Path, default=Path("benchmarks/results"),
                        help="folder of further results folders (%(default)s)")  # fmt: skip
    parser.add_argument("--out", type=Path, help="Markdown file to write instead of printing")
    options = parser.parse_args(arguments)
    try:
        text = _page(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.out is None:
        print(text)
    else:
        write_atomically(options.out, text)
        print(f"Power: {options.out}")
    return 0


def _page(options: argparse.Namespace) -> str:
    from llm4rec_recbole.analysis.claims import read_printed
    from llm4rec_recbole.analysis.paper import paper_numbers
    from llm4rec_recbole.analysis.power import Gain, paper_gains, parse_claim, read_pilots
    from llm4rec_recbole.reporting.tables.power import render

    given = [] if options.claim is None else [parse_claim(options.claim)]
    folders = [options.results, *sorted(p for p in options.other_results.glob("*") if p.is_dir())]
    pilots = read_pilots(folders)
    names = sorted({pilot.dataset for pilot in pilots})
    if options.pilot is not None:
        pilots = [pilot for pilot in pilots if pilot.dataset == options.pilot]
    if not pilots:
        hint = f"one of {', '.join(names)}" if names else "run a method, or name --results"
        raise InputError(f"no committed ranks of {options.pilot or 'any data set'}", hint=hint)
    gains = [
        Gain("claim", options.claim, metric, percent, "", 1) for percent, metric in given
    ] or paper_gains(read_printed(paper_numbers.folder()))
    return render(gains, pilots)
