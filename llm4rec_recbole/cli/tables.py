"""Commands that test differences, and write tables and the report; they train nothing.

llm4rec compare          the tests of all tables
llm4rec pair A B         the differences between any two methods; writes no file
llm4rec tables           Tables I to V and the claims
llm4rec dataset_table    Table I over all data sets
llm4rec power            how many users a claim needs; without --claim, for all of the paper's
llm4rec report           the page
llm4rec readme           copies of generated tables in README.md and docs/
"""

from __future__ import annotations

import argparse
from pathlib import Path

from llm4rec_recbole.cli.options import REPORT, parser_of
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import printed_folder, write_atomically

PAIR_NOTE = (
    "Values are per user, averaged over seeds first. One comparison that was planned in advance "
    "needs no adjustment. The best of several comparisons does: see comparisons.csv. Where a "
    "method has several seeds, users and seeds are random. Equivalent: two one-sided tests reject "
    "every larger difference, in per cent of the baseline's mean."
)


def compare(arguments: list[str] | None = None) -> int:
    """Write results/comparisons.csv. Raises InputError for bad input."""
    from llm4rec_recbole.analysis.compare import compare
    from llm4rec_recbole.analysis.paired_tests import FILE, write_comparisons

    description = "Test every difference that the tables show."
    options = parser_of(description, "--results", "--data").parse_args(arguments)
    comparisons = compare(options.results, options.data)
    write_comparisons(options.results / FILE, comparisons)
    print(f"{len(comparisons)} comparisons in {options.results / FILE}")
    return 0


def pair(arguments: list[str] | None = None) -> int:
    """Print the tables. Raises InputError for bad input."""
    from llm4rec_recbole.analysis.compare import render_pair

    parser = parser_of("Test the differences between two methods.", "--results")
    parser.add_argument("method", help="the method to test")
    parser.add_argument("baseline", help="the method to compare it with")
    options = parser.parse_args(arguments)
    for text in render_pair(options.results, options.method, options.baseline):
        print(f"{text}\n")
    print(PAIR_NOTE)
    return 0


def tables(arguments: list[str] | None = None) -> int:
    """Write Tables I to V and the claims. Raises InputError for bad input, and writes nothing."""
    from llm4rec_recbole.reporting import inputs, summary
    from llm4rec_recbole.reporting.tables import claims
    from llm4rec_recbole.reporting.tables.render import to_latex, to_markdown

    description = "Write the paper's tables with our numbers."
    options = parser_of(description, *REPORT, "--out").parse_args(arguments)
    report = inputs.read(options.results, options.failures, options.printed)
    texts = {
        "claims.md": to_markdown(claims.build(report.claims)),
        "claims.csv": claims.to_csv(report.claims),
        "answer.md": summary.answer(report),
        "summary.md": summary.summary_table(report.sections),
    }
    lines = []
    for name, table, csv in report.tables():
        texts |= {f"{name}.md": to_markdown(table), f"{name}.tex": to_latex(table)}
        texts[f"{name}.csv"] = csv
        lines.append(f"{table.name}: {options.out / name}.md, .tex, .csv")
    for name, text in texts.items():
        write_atomically(options.out / name, text)
    print("\n".join([*lines, f"Claims: {options.out / 'claims'}.md, .csv"]))
    return 0


def dataset_table(arguments: list[str] | None = None) -> int:
    """Write <out>/table_1_data_sets.md, .tex, .csv, answer_data_sets.md, experiments.md and
    few_interactions.md, which is one sentence where nobody counted training interactions."""
    from llm4rec_recbole.reporting.tables import datasets
    from llm4rec_recbole.reporting.tables.accuracy import (
        FEW_INTERACTIONS,
        build_few_interactions,
        read_counts,
    )
    from llm4rec_recbole.reporting.tables.render import escape_markdown, to_latex, to_markdown

    options = parser_of(
        "Write Table I over all data sets.", "--results", "--other_results",
        "--out",
    ).parse_args(arguments)  # fmt: skip
    runs = datasets.table_runs(datasets.read(options.results, options.other_results))
    table, counts = datasets.build(runs), read_counts(options.other_results)
    answer = [f"- {escape_markdown(line)}\n" for line in datasets.answer(runs)]
    no_answer = "No data set has runs of EnhancedGenRec and of a method beside it.\n"
    few = None if counts is None else build_few_interactions(runs, counts)
    texts = {
        f"{datasets.NAME}.md": to_markdown(table),
        f"{datasets.NAME}.tex": to_latex(table),
        f"{datasets.NAME}.csv": datasets.to_csv(runs),
        f"{datasets.ANSWER}.md": "".join(answer) or no_answer,
        f"{datasets.EXPERIMENTS}.md": to_markdown(
            datasets.build_experiments(options.other_results)
        ),
        f"{FEW_INTERACTIONS}.md": "No counts.\n" if few is None else to_markdown(few),
    }
    for name, text in texts.items():
        write_atomically(options.out / name, text)
    print(f"Table I over data sets: {options.out / datasets.NAME}.md, .tex, .csv")
    return 0


def power(arguments: list[str] | None = None) -> int:
    """Print or write the table. Raises InputError for bad input."""
    description = "How many users a claim needs, from committed ranks."
    parser = parser_of(description, "--results", "--other_results")
    parser.add_argument("--claim", help='one claim, such as "+0.7%% hit@10" (all of the paper\'s)')
    parser.add_argument("--pilot", help="only this data set as a pilot, such as ml-1m (all)")
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
    from llm4rec_recbole.analysis.power import ClaimedGain, paper_gains, parse_claim, read_pilots
    from llm4rec_recbole.reporting.tables.claims import power_table
    from llm4rec_recbole.reporting.tables.datasets import result_folders
    from llm4rec_recbole.reporting.tables.render import to_markdown

    claims = [] if options.claim is None else [parse_claim(options.claim)]
    pilots = read_pilots(result_folders(options.results, options.other_results))
    names = sorted({pilot.dataset for pilot in pilots})
    if options.pilot is not None:
        pilots = [pilot for pilot in pilots if pilot.dataset == options.pilot]
    if not pilots:
        hint = f"one of {', '.join(names)}" if names else "run a method, or name --results"
        raise InputError(f"no committed ranks of {options.pilot or 'any data set'}", hint=hint)
    gains = [
        ClaimedGain("claim", options.claim, metric, percent, "", 1) for percent, metric in claims
    ] or paper_gains(read_printed(printed_folder()))
    return to_markdown(power_table(gains, pilots))


def report(arguments: list[str] | None = None) -> int:
    """Write the page and the README's figure. Raises InputError for bad input."""
    from llm4rec_recbole.reporting import inputs
    from llm4rec_recbole.reporting.figures.plots import rankings
    from llm4rec_recbole.reporting.page.report import page
    from llm4rec_recbole.reporting.tables import datasets
    from llm4rec_recbole.reporting.tables.accuracy import read_counts

    parser = parser_of("Write the report page.", *REPORT, "--other_results")
    parser.add_argument("--out", type=Path, default=Path("results/report.html"),
                        help="the page (%(default)s)")  # fmt: skip
    parser.add_argument("--figure", type=Path, default=Path("results/rankings.svg"),
                        help="the README's figure (%(default)s)")  # fmt: skip
    options = parser.parse_args(arguments)
    evidence = inputs.read(options.results, options.failures, options.printed)
    runs = datasets.read(options.results, options.other_results)
    counts = read_counts(options.other_results)
    html = page(evidence, options.results, runs, options.out.parent, counts)
    write_atomically(options.out, html)
    figures = [rankings("rankings", s, "hit@10", "HR@10") for s in evidence.sections]
    for figure in [figure for figure in figures if figure is not None][:1]:
        write_atomically(options.figure, figure.standalone())
    print(f"Report: {options.out}, {len(html.encode()) / 2**20:.2f} MiB")
    return 0


def readme(arguments: list[str] | None = None) -> int:
    """Fill README.md and the pages of docs/ in place. Raises InputError for bad input."""
    from llm4rec_recbole.reporting.summary import fill

    parser = parser_of("Copy generated tables into README.md and docs/.")
    parser.add_argument("--readme", type=Path, default=Path("README.md"),
                        help="fill this file and docs/*.md beside it (%(default)s)")  # fmt: skip
    readme = parser.parse_args(arguments).readme
    pages = [readme, *sorted((readme.parent / "docs").glob("*.md"))]
    filled = {path: fill(path.read_text(encoding="utf-8"), readme.parent) for path in pages}
    for path, text in filled.items():
        if text != path.read_text(encoding="utf-8"):
            write_atomically(path, text)
    return 0
