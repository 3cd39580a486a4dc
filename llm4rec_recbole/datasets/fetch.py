"""Get a data set's raw files, each with its checksum, into <data_path>/<name>/raw.

    llm4rec fetch ml-25m                     download it, where its licence lets a program do that
    llm4rec fetch yelp-2023 --from FOLDER    take your own copy: a folder, zip, tar or gzip
    llm4rec fetch beauty --check             compare what is here with what it must be

What a data set is made of, its property file says (data/source.py).
"""

from __future__ import annotations

import argparse
import difflib
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from llm4rec_recbole.data.dataset_paths import EMBEDDED, atomic_folder
from llm4rec_recbole.datasets.download import Refused, download
from llm4rec_recbole.datasets.import_raw_files import take
from llm4rec_recbole.datasets.spec import DOWNLOADS, Source, read_source
from llm4rec_recbole.datasets.verify import check
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import properties_folder


def fetch(source: Source, raw: Path, place: str | Path | None = None) -> list[str]:
    """Download the raw files into `raw`, or take them from `place`; return a line about each.

    Raises InputError for a wrong checksum, a broken connection or archive, and for a data set that
    a person has to get: then it says where, and what to accept. Files that were there stay.
    """
    try:
        return take(source, place, raw) if place is not None else _download(source, raw)
    finally:  # an empty folder would count as one that lacks its files
        with suppress(OSError):
            raw.rmdir()


def _download(source: Source, raw: Path) -> list[str]:
    _refuse_what_a_person_must_get(source)
    came = raw / DOWNLOADS
    if source.archive is not None:
        assert source.archive.url is not None
        urls = {source.archive.name: (source.archive.url, False)}
    else:
        every = (file for files in source.files.values() for file in files)
        urls = {
            file.url.rpartition("/")[2]: (file.url, file.optional)
            for file in every
            if file.url is not None
        }
    for name, (url, optional) in urls.items():
        if (came / name).is_file():  # it came before the connection broke at another one
            continue
        try:
            download(url, came / name)
        except Refused as error:  # a broken connection is another matter: the next try goes on
            if not optional:
                raise
            print(error, file=sys.stderr)
    place = came if source.archive is None else came / source.archive.name
    try:
        said = take(source, place, raw)
    except InputError as error:  # what is wrong must not come again from here; the others may
        wrong = came / Path(error.file or "").name
        for path in [wrong] if wrong.is_file() else list(came.iterdir()):
            path.unlink()
        with suppress(OSError):
            came.rmdir()
        raise
    shutil.rmtree(came)
    return said


def _refuse_what_a_person_must_get(source: Source) -> None:
    own_copy = f"llm4rec fetch {source.dataset} --from FOLDER"
    if source.accept:
        message = f"{source.dataset} is for you to download: accept {source.accept}, and get "
        names = ", ".join(files[0].name for files in source.files.values())
        raise InputError(f"{message}{names} from {source.home}", hint=f"then: {own_copy}")
    if source.archive is not None and source.archive.url:
        return
    for files in source.files.values():
        if not any(file.url or file.optional for file in files):
            message = f"{source.dataset} has no known address of {files[0].name}"
            raise InputError(f"{message}; see {source.home}", hint=f"your own copy: {own_copy}")


def sources() -> list[str]:
    """The data sets whose property file names a source; one that is broken is left out."""
    names = []
    for file in sorted((properties_folder() / "dataset").glob("*.yaml")):
        with suppress(ValueError, AttributeError, OSError):  # told when it is asked for by name
            if read_source(file.stem) is not None:
                names.append(file.stem)
    return names


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status is 2 for bad input, 1 where --check finds a difference."""
    parser = argparse.ArgumentParser(epilog=f"data sets: {', '.join(sources())}")
    parser.add_argument("name", help="the data set")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--from", dest="place", help="your own copy: a folder, zip, tar or gzip")
    either.add_argument("--check", action="store_true", help="only compare what is here")
    parser.add_argument("--data-path", default="dataset", help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        path = Path(options.name)  # such as ../dataset/ml-1m, which is no name
        source = read_source(options.name) if path.name == options.name else None
        if source is None:
            near = difflib.get_close_matches(options.name, sources(), n=1)
            found = "".join(f", nearest is {name!r}" for name in near)
            hint = f"there are {', '.join(sources())}"
            raise InputError(f"nothing is known of where {options.name!r} is{found}", hint=hint)
        folder = Path(options.data_path) / options.name
        if options.place == "":
            raise InputError("--from names no folder or archive")
        if options.name == EMBEDDED:
            wheel = atomic_folder(EMBEDDED)
            told = f"{EMBEDDED} comes with recbole, in {wheel}: there is nothing to fetch"
            if options.place is not None:
                raise InputError(told, hint="leave --from out")
            lines, same = check(source, wheel, wheel) if options.check else ([told], True)
        elif options.check:
            lines, same = check(source, folder, folder / "raw")
        else:
            lines, same = fetch(source, folder / "raw", options.place), True
            lines.append(f"next: llm4rec prepare --dataset {options.name}")
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or options.data_path}: {error.strerror}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
