"""Commands that write tables and the report: `llm4rec tables`, `dataset_table`, `report`, `readme`.

They read run records, users files and comparisons.csv, and train nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from llm4rec_recbole.cli.options import (
    add_recbole_row_option,
    add_report_inputs,
    add_results_option,
)
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import write_atomically


def main(arguments: list[str] | None = None) -> int:
    """Write Tables I to V and the claims; returns the exit status, 2 for bad input.

    Bad input leaves all old files in place.
    """
    from llm4rec_recbole.reporting import inputs, readme_blocks
    from llm4rec_recbole.reporting.tables import claims
    from llm4rec_recbole.reporting.tables.render import to_latex, to_markdown

    parser = argparse.ArgumentParser(
        prog="llm4rec tables", description="Write the paper's tables with our numbers."
    )
    add_report_inputs(parser)
    _add_out_option(parser)
    options = parser.parse_args(arguments)
    try:
        report = inputs.read(
            options.results, options.failures, options.printed, options.recbole_row
        )
        tables = report.tables()
        texts = {
            "claims.md": to_markdown(claims.build(report.claims)),
            "claims.csv": claims.to_csv(report.claims),
            "answer.md": readme_blocks.answer(report),
            "summary.md": readme_blocks.summary(report.sections),
        }
        for name, table, csv in tables:
            texts |= {f"{name}.md": to_markdown(table), f"{name}.tex": to_latex(table)}
            texts[f"{name}.csv"] = csv
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, text in texts.items():
        write_atomically(options.out / name, text)
    for name, table, _ in tables:
        print(f"{table.name}: {options.out / name}.md, .tex, .csv")
    print(f"Claims: {options.out / 'claims'}.md, .csv")
    return 0


def _add_out_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("paper_tables"),
                        help="folder to write to (%(default)s)")  # fmt: skip


def dataset_table(arguments: list[str] | None = None) -> int:
    """Write <out>/table_1_data_sets.md, .tex, .csv and <out>/experiments.md.

    Returns the exit status, 2 for bad input.
    """
    from llm4rec_recbole.reporting.tables import datasets, experiments
    from llm4rec_recbole.reporting.tables.render import to_latex, to_markdown

    parser = argparse.ArgumentParser(
        prog="llm4rec dataset_table", description="Write Table I over all data sets."
    )
    add_results_option(parser)
    parser.add_argument("--other_results", type=Path, default=Path("benchmarks/results"),
                        help="folder of further results folders (%(default)s)")  # fmt: skip
    add_recbole_row_option(parser)
    _add_out_option(parser)
    options = parser.parse_args(arguments)
    try:
        runs = datasets.read(options.results, options.other_results, options.recbole_row)
        chosen = to_markdown(experiments.build(options.other_results))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    table, csv = datasets.build(runs, options.recbole_row), datasets.to_csv(runs)
    for ending, text in ("md", to_markdown(table)), ("tex", to_latex(table)), ("csv", csv):
        write_atomically(options.out / f"{datasets.NAME}.{ending}", text)
    write_atomically(options.out / f"{experiments.NAME}.md", chosen)
    print(f"Table I over data sets: {options.out / datasets.NAME}.md, .tex, .csv")
    return 0


def report(arguments: list[str] | None = None) -> int:
    """Write the page and the README's figure; returns the exit status, 2 for bad input."""
    from llm4rec_recbole.reporting import inputs
    from llm4rec_recbole.reporting.figures.accuracy_plots import rankings
    from llm4rec_recbole.reporting.page.report import page

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


def readme(arguments: list[str] | None = None) -> int:
    """Fill README.md and the pages of docs/ in place; returns the exit status, 2 for bad input."""
    from llm4rec_recbole.reporting.readme_blocks import fill

    parser = argparse.ArgumentParser(
        prog="llm4rec readme", description="Copy generated tables into README.md and docs/."
    )
    parser.add_argument("--readme", type=Path, default=Path("README.md"),
                        help="fill this file and docs/*.md beside it (%(default)s)")  # fmt: skip
    readme = parser.parse_args(arguments).readme
    pages = [readme, *sorted((readme.parent / "docs").glob("*.md"))]
    try:
        filled = {path: fill(path.read_text(encoding="utf-8"), readme.parent) for path in pages}
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path, text in filled.items():
        if text != path.read_text(encoding="utf-8"):
            write_atomically(path, text)
    return 0
