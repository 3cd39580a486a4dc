"""Writes the generated tables: paper_tables/table_1.md, .tex and .csv.

python -m llm4rec_recbole.reporting.tables --results results --out paper_tables
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import write_atomically
from llm4rec_recbole.reporting import printed, table_1
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
        table = table_1.build(sections)
        texts = {
            "md": to_markdown(table),
            "tex": to_latex(table),
            "csv": table_1.to_csv(sections),
        }
        for kind, text in texts.items():
            write_atomically(options.out / f"table_1.{kind}", text)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"Table I: {options.out / 'table_1'}.md, .tex, .csv")
    return 0


if __name__ == "__main__":
    sys.exit(main())
