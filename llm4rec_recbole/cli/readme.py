"""`llm4rec readme`: copy generated tables and figures into the marked blocks of README.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import write_atomically
from llm4rec_recbole.reporting.readme_blocks import fill


def main(arguments: list[str] | None = None) -> int:
    """Fill README.md in place; returns the exit status, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="llm4rec readme", description="Copy generated tables into README.md."
    )
    parser.add_argument("--readme", type=Path, default=Path("README.md"),
                        help="the file to fill (%(default)s)")  # fmt: skip
    readme = parser.parse_args(arguments).readme
    try:
        text = readme.read_text(encoding="utf-8")
        filled = fill(text, readme.parent)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if filled != text:
        write_atomically(readme, filled)
    return 0


if __name__ == "__main__":
    sys.exit(main())
