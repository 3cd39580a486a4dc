"""`llm4rec fetch`: get a data set's raw files, or compare them with what they must be.

llm4rec fetch ml-25m                     download it, if its license allows a program to do so
llm4rec fetch yelp-2023 --from FOLDER    import your own copy: a folder, zip, tar or gzip
llm4rec fetch beauty --check             compare the files here with their checksums and counts
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from llm4rec_recbole.errors import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns 1 if --check finds a difference. Raises InputError for bad input."""
    from llm4rec_recbole.datasets.spec import spec_names

    names = spec_names()
    parser = argparse.ArgumentParser(epilog=f"data sets: {', '.join(names)}")
    parser.add_argument("name", help="the data set")
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--from", dest="archive", help="your own copy: a folder, zip, tar or gzip", metavar="PATH"
    )
    either.add_argument("--check", action="store_true", help="only compare the files here")
    parser.add_argument("--data-path", default="dataset", help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        lines, equal = _run(options, names)
    except OSError as error:
        file = error.filename or options.data_path
        raise InputError(error.strerror or str(error), file=file) from None
    print("\n".join(lines))
    return 0 if equal else 1


def _run(options: argparse.Namespace, names: list[str]) -> tuple[list[str], bool]:
    """Lines to print, and whether everything is as expected."""
    from llm4rec_recbole.data.dataset_paths import BUNDLED_DATASET, dataset_folder
    from llm4rec_recbole.datasets.fetch import fetch
    from llm4rec_recbole.datasets.spec import read_spec
    from llm4rec_recbole.datasets.verify import verify
    from llm4rec_recbole.errors import did_you_mean

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


if __name__ == "__main__":
    from llm4rec_recbole.cli.run import llm4rec

    sys.exit(llm4rec(["fetch", *sys.argv[1:]]))
