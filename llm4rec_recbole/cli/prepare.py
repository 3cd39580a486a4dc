"""`llm4rec prepare`: check a data set and write its tables of items and users.

python -m llm4rec_recbole.cli.prepare --dataset ml-100k --out work/data/ml-100k
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from llm4rec_recbole.errors import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Raises InputError, in one line, for bad input and a full disk."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset", default="ml-100k", help="its name (default: %(default)s)")
    parser.add_argument("--out", help="folder to write to (default: work/data/<dataset>)")
    parser.add_argument(
        "--data-path",
        default="dataset",
        help="folder of <dataset>/<dataset>.inter; ml-100k comes with recbole (default: dataset)",
    )
    parser.add_argument("--summary", help="also write the counts and sums to this file")
    parser.add_argument("--raw", help="folder of raw files, which are converted to atomic files")
    options = parser.parse_args(arguments)
    out = Path(options.out or f"work/data/{options.dataset}")
    from llm4rec_recbole.datasets.prepare import prepare
    from llm4rec_recbole.files import write_json

    try:
        summary = prepare(options.dataset, out, options.data_path, options.raw)
        if options.summary:
            write_json(options.summary, summary)
    except OSError as error:
        message = error.strerror or str(error)
        raise InputError(message, file=error.filename or out) from None
    counts = ", ".join(f"{summary[name]} {name}" for name in ("users", "items", "interactions"))
    print(f"{options.dataset}: {counts}; wrote {out}")
    return 0


if __name__ == "__main__":
    from llm4rec_recbole.cli.run import llm4rec

    sys.exit(llm4rec(["prepare", *sys.argv[1:]]))
