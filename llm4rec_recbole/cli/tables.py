"""Commands that write tables and the report, from records and users files; they train nothing.

llm4rec tables           Tables I to V and the claims
llm4rec dataset_table    Table I over all data sets
llm4rec power            how many users a claim needs; without --claim, for all of the paper's
llm4rec report           the page
llm4rec readme           copies of generated tables in README.md and docs/
"""

from __future__ import annotations

import argparse
from pathlib import Path

from llm4rec_recbole.cli.options import (
    add_other_results_option,
    add_recbole_row_option,
    add_report_inputs,
    add_results_option,
)
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import write_atomically


def main(arguments: list[str] | None = None) -> int:
    """Write Tables I to V and the claims. Raises InputError for bad input, and writes nothing."""
    from llm4rec_recbole.reporting import inputs, readme_blocks
    from llm4rec_recbole.reporting.tables import claims
    from llm4rec_recbole.reporting.tables.render import to_latex, to_markdown

    parser = argparse.ArgumentParser(description="Write the paper's tables with our numbers.")
    add_report_inputs(parser)
    _add_out_option(parser)
    options = parser.parse_args(arguments)
    report = inputs.read(options.results, options.failures, options.printed, options.recbole_row)
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
    """Write <out>/table_1_data_sets.md, .tex, .csv and <out>/experiments.md."""
    from llm4rec_recbole.reporting.tables import datasets, experiments
    from llm4rec_recbole.reporting.tables.render import to_latex, to_markdown

    parser = argparse.ArgumentParser(description="Write Table I over all data sets.")
    add_results_option(parser)
    add_other_results_option(parser)
    add_recbole_row_option(parser)
    _add_out_option(parser)
    options = parser.parse_args(arguments)
    runs = datasets.read(options.results, options.other_results, options.recbole_row)
    chosen = to_markdown(experiments.build(options.other_results))
    table, csv = datasets.build(runs, options.recbole_row), datasets.to_csv(runs)
    for ending, text in ("md", to_markdown(table)), ("tex", to_latex(table)), ("csv", csv):
        write_atomically(options.out / f"{datasets.NAME}.{ending}", text)
    write_atomically(options.out / f"{experiments.NAME}.md", chosen)
    print(f"Table I over data sets: {options.out / datasets.NAME}.md, .tex, .csv")
    return 0


def power(arguments: list[str] | None = None) -> int:
    """Print or write the table. Raises InputError for bad input."""
    parser = argparse.ArgumentParser(
        description="How many users a claim needs, from committed ranks."
    )
    parser.add_argument("--claim", help='one claim, such as "+0.7%% hit@10" (all of the paper\'s)')
    parser.add_argument("--pilot", help="only this data set as a pilot, such as ml-1m (all)")
    add_results_option(parser)
    add_other_results_option(parser)
    parser.add_argument("--out", type=Path, help="Markdown file to write instead of printing")
    options = parser.parse_args(arguments)
    text = _power_page(options)
    if options.out is None:
        print(text)
    else:
        write_atomically(options.out, text)
        print(f"Power: {options.out}")
    return 0


def _power_page(options: argparse.Namespace) -> str:
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


def report(arguments: list[str] | None = None) -> int:
    """Write the page and the README's figure. Raises InputError for bad input."""
    from llm4rec_recbole.reporting import inputs
    from llm4rec_recbole.reporting.figures.accuracy_plots import rankings
    from llm4rec_recbole.reporting.page.report import page
    from llm4rec_recbole.reporting.page.runs import read_entries

    parser = argparse.ArgumentParser(description="Write the report page.")
    add_report_inputs(parser)
    add_other_results_option(parser)
    parser.add_argument("--out", type=Path, default=Path("results/report.html"),
                        help="the page (%(default)s)")  # fmt: skip
    parser.add_argument("--figure", type=Path, default=Path("results/rankings.svg"),
                        help="the README's figure (%(default)s)")  # fmt: skip
    options = parser.parse_args(arguments)
    evidence = inputs.read(options.results, options.failures, options.printed, options.recbole_row)
    entries = read_entries(options.results, options.other_results)
    html = page(evidence, options.results, entries, options.out.parent)
    write_atomically(options.out, html)
    figures = [rankings("rankings", s, "hit@10", "HR@10") for s in evidence.sections]
    for figure in [figure for figure in figures if figure is not None][:1]:
        write_atomically(options.figure, figure.standalone())
    print(f"Report: {options.out}, {len(html.encode()) / 2**20:.2f} MiB")
    return 0


def readme(arguments: list[str] | None = None) -> int:
    """Fill README.md and the pages of docs/ in place. Raises InputError for bad input."""
    from llm4rec_recbole.reporting.readme_blocks import fill

    parser = argparse.ArgumentParser(description="Copy generated tables into README.md and docs/.")
    parser.add_argument("--readme", type=Path, default=Path("README.md"),
                        help="fill this file and docs/*.md beside it (%(default)s)")  # fmt: skip
    readme = parser.parse_args(arguments).readme
    pages = [readme, *sorted((readme.parent / "docs").glob("*.md"))]
    filled = {path: fill(path.read_text(encoding="utf-8"), readme.parent) for path in pages}
    for path, text in filled.items():
        if text != path.read_text(encoding="utf-8"):
            write_atomically(path, text)
    return 0
