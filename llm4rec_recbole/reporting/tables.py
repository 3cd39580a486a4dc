"""Writes the generated tables: paper_tables/table_<1 to 5>.md, .tex, .csv and claims.md, .csv.

python -m llm4rec_recbole.reporting.tables --results results --out paper_tables
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from llm4rec_recbole.analysis import printed
from llm4rec_recbole.analysis.claims import ledger, read_printed
from llm4rec_recbole.analysis.comparisons import FILE, read_comparisons
from llm4rec_recbole.analysis.records import read_records
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import write_atomically
from llm4rec_recbole.reporting import claims_page, table_1, table_2, table_3, table_4, table_5
from llm4rec_recbole.reporting.ablation_rows import read_ablations
from llm4rec_recbole.reporting.accuracy_rows import read_sections
from llm4rec_recbole.reporting.formats import to_latex, to_markdown


def main(arguments: list[str] | None = None) -> int:
    """Write the tables; returns the exit code, 2 for bad input, which leaves old tables whole."""
    parser = argparse.ArgumentParser(description="Write the paper's tables with our numbers.")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of the runs")
    parser.add_argument("--out", type=Path, default=Path("paper_tables"), help="folder to write to")
    parser.add_argument("--failures", type=Path, default=Path("work/failures"),
                        help="folder of the notes that failed runs leave")  # fmt: skip
    parser.add_argument("--printed", type=Path, default=printed.folder(),
                        help="folder of the paper's own numbers")  # fmt: skip
    parser.add_argument("--recbole-row", default="BPR", help='method of the paper\'s "RecBole" row')
    options = parser.parse_args(arguments)
    try:
        sections = read_sections(
            options.results, options.failures, options.printed, options.recbole_row
        )
        tables = [("table_1", table_1.build(sections), table_1.to_csv(sections))]
        comparisons = read_comparisons(options.results / FILE)
        tests = [test for test in comparisons if test.table == "table_2"]
        paper = read_printed(options.printed)
        for name, made, notes in (
            ("table_2", table_2.TABLE, table_2.notes(sections, tests)),
            ("table_3", table_3.TABLE, table_3.notes(sections)),
        ):
            table = made.build(sections, paper[name], notes, tests)
            tables.append((name, table, made.to_csv(sections, paper[name])))
        ablations = read_ablations(
            options.results, options.failures, paper, comparisons,
            [(section.dataset, section.protocol) for section in sections],
        )  # fmt: skip
        steps = [each.table_4 for each in ablations]
        parts = [each.table_5 for each in ablations]
        tables.append(("table_4", table_4.build(steps), table_4.to_csv(steps)))
        tables.append(("table_5", table_5.build(ablations), table_5.to_csv(parts)))
        records = read_records(options.results)
        entries = ledger(paper, records, comparisons, options.recbole_row)
        write_atomically(options.out / "claims.md", to_markdown(claims_page.build(entries)))
        write_atomically(options.out / "claims.csv", claims_page.to_csv(entries))
        for name, table, csv in tables:
            for kind, text in ("md", to_markdown(table)), ("tex", to_latex(table)), ("csv", csv):
                write_atomically(options.out / f"{name}.{kind}", text)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, table, _ in tables:
        print(f"{table.name}: {options.out / name}.md, .tex, .csv")
    print(f"Claims: {options.out / 'claims'}.md, .csv")
    return 0


if __name__ == "__main__":
    sys.exit(main())
