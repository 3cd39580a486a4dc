"""Writes the generated tables: paper_tables/table_<1 to 5>.md, .tex, .csv and claims.md, .csv.

python -m llm4rec_recbole.cli.tables --results results --out paper_tables
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from llm4rec_recbole.cli.options import add_report_inputs
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import write_atomically
from llm4rec_recbole.reporting import inputs
from llm4rec_recbole.reporting.tables import claims
from llm4rec_recbole.reporting.tables.render import to_latex, to_markdown


def main(arguments: list[str] | None = None) -> int:
    """Write the tables; returns the exit code, 2 for bad input, which leaves old tables whole."""
    parser = argparse.ArgumentParser(description="Write the paper's tables with our numbers.")
    add_report_inputs(parser)
    parser.add_argument("--out", type=Path, default=Path("paper_tables"), help="folder to write to")
    options = parser.parse_args(arguments)
    try:
        found = inputs.read(options.results, options.failures, options.printed, options.recbole_row)
        tables = found.tables()
        write_atomically(options.out / "claims.md", to_markdown(claims.build(found.claims)))
        write_atomically(options.out / "claims.csv", claims.to_csv(found.claims))
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
