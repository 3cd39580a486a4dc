"""Commands that make a data set ready: `llm4rec fetch`, `prepare`.

llm4rec fetch ml-25m                     download it, if its license allows a program to do so
llm4rec fetch yelp-2023 --from FOLDER    import your own copy: a folder, zip, tar or gzip
llm4rec fetch beauty --check             compare the files here with their checksums and counts
llm4rec prepare --dataset ml-25m         check it and write its tables of items and users
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from llm4rec_recbole.errors import InputError, did_you_mean, disk_errors
from llm4rec_recbole.parser import Parser


def fetch(arguments: Sequence[str] | None = None) -> int:
    """Get raw files, or check them. Returns 1 if --check finds a difference."""
    from llm4rec_recbole.datasets.spec import spec_names

    names = spec_names()
    parser = Parser(
        description="Get a data set's raw files, or check them.",
        epilog=f"data sets: {', '.join(names)}",
    )
    parser.add_argument("name", help="the data set")
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--from", dest="archive", help="your own copy: a folder, zip, tar or gzip", metavar="PATH"
    )
    either.add_argument("--check", action="store_true", help="only compare the files here")
    parser.add_argument("--data-path", default="dataset", help="default: %(default)s")
    options = parser.parse_args(arguments)
    with disk_errors(file=options.data_path):
        lines, equal = _fetch(options, names)
    print("\n".join(lines))
    return 0 if equal else 1


def _fetch(options: argparse.Namespace, names: list[str]) -> tuple[list[str], bool]:
    """Lines to print, and whether everything is as expected."""
    from llm4rec_recbole.data.dataset_files import BUNDLED_DATASET, dataset_folder
    from llm4rec_recbole.datasets.fetch import fetch, verify
    from llm4rec_recbole.datasets.spec import read_spec

    name = options.name
    spec = read_spec(name) if Path(name).name == name else None  # not ../dataset/ml-1m
    if spec is None:
        message = f"there is no specification of {name!r}{did_you_mean(name, names)}"
        raise InputError(message, hint=f"there are {', '.join(names)}")
    folder = Path(options.data_path) / name
    if options.archive == "":
        raise InputError("--from names no folder or archive")
    if name == BUNDLED_DATASET:
        wheel = dataset_folder(BUNDLED_DATASET)
        message = f"{BUNDLED_DATASET} comes with recbole, in {wheel}: there is nothing to fetch"
        if options.archive is not None:
            raise InputError(message, hint="leave --from out")
        return verify(spec, wheel, wheel) if options.check else ([message], True)
    if options.check:
        return verify(spec, folder, folder / "raw")
    lines = fetch(spec, folder / "raw", options.archive)
    return [*lines, f"next: llm4rec prepare --dataset {name}"], True


def prepare(arguments: Sequence[str] | None = None) -> int:
    """Check a data set and write its tables. Raises InputError for bad input and a full disk."""
    parser = Parser(description="Check a data set and write its tables of items and users.")
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

    with disk_errors(file=out):
        summary = prepare(options.dataset, out, options.data_path, options.raw)
        if options.summary:
            write_json(options.summary, summary)
    counts = ", ".join(f"{summary[name]} {name}" for name in ("users", "items", "interactions"))
    print(f"{options.dataset}: {counts}; wrote {out}")
    return 0
