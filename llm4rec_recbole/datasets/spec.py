"""Where a data set comes from and what is kept of it: `source` in properties/dataset/<name>.yaml.

source:
  format: movielens_dat              # the module of llm4rec_recbole/data that reads it
  times: seconds                     # or `position`: the data has an order but no times
  keep: {rating: ">=4"}              # filters, applied in this order: rating, core
  files:                             # what each file is for; the first that is there is read
    ratings: [{name: ratings.dat, sha256: …, url: …}, {name: ratings_ge4.dat}]
    users: {name: users.dat, optional: true}
"""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, get_type_hints

from llm4rec_recbole.datasets.filters import check_filters
from llm4rec_recbole.errors import InputError, number_in, whole_number
from llm4rec_recbole.files import properties_folder

DOWNLOADS = "download"  # below raw/, what has come and was not checked yet: nobody reads it there


@dataclass(frozen=True)
class RawFile:
    """One file of a data set as its authors offer it; `sha256` is None where nobody has told it."""

    name: str
    optional: bool = False
    sha256: str | None = None
    git_blob: str | None = None  # SHA-1 as git has it, where only that is known
    bytes: int | None = None
    url: str | None = None


@dataclass(frozen=True)
class Source:
    """The `source` of a data set; `files` maps a role to the files that can play it, best first."""

    dataset: str
    format: str
    files: dict[str, list[RawFile]]
    times: str = "seconds"
    keep: dict[str, Any] = field(default_factory=dict)
    home: str = ""
    licence: str = ""
    accept: str = ""  # what a person must accept on the home page; such a data set is not fetched
    archive: RawFile | None = None  # the zip or tar that holds the files
    rows: dict[str, int] = field(default_factory=dict)  # of each file, by role
    statistics: dict[str, float] = field(default_factory=dict)  # of what is kept


def read_source(dataset: str, folder: str | Path | None = None) -> Source | None:
    """The source that the data set's property file names, or None where it names none.

    `folder` holds the property files (default: this project's own). Raises InputError, with the
    file, for one that is no YAML, or whose `source` lacks or misnames something.
    """
    import yaml

    path = Path(folder or properties_folder() / "dataset") / f"{dataset}.yaml"
    if not path.is_file():
        return None
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # also of bytes, of dates
        raise InputError(f"not YAML: {error}".splitlines()[0], file=path) from None
    hint = "see llm4rec_recbole/datasets/spec.py"
    given = values.get("source") if isinstance(values, dict) else values
    if isinstance(values, dict) and given is None:
        return None
    if not isinstance(given, dict) or not isinstance(given.get("files"), dict):
        raise InputError("cannot read its source: it names no files", file=path, hint=hint)
    try:
        files = {role: _files(entry) for role, entry in given.pop("files").items()}
        archive = _file(given.pop("archive")) if "archive" in given else None
        source = Source(dataset=dataset, files=files, archive=archive, **given)
        check_source(source)
    except TypeError as error:
        raise InputError(f"cannot read its source: {error}", file=path, hint=hint) from None
    except InputError as error:
        raise InputError(f"in its source, {error.message}", file=path, hint=error.hint) from None
    return source


def _files(entry: Any) -> list[RawFile]:
    return [_file(one) for one in (entry if isinstance(entry, list) else [entry])]


def _file(entry: Any) -> RawFile:
    if not isinstance(entry, dict):
        raise TypeError(f"{entry!r} is no file, such as {{name: ratings.csv}}")
    return RawFile(**entry)


def raw_files(source: Source, folder: str | Path) -> dict[str, Path]:
    """Role → the file that plays it, in `folder` or below it.

    Files of two places never mix: where the first file that must be there is found, all others are
    looked for, and below that. An optional file that is not there is left out. Raises InputError
    for one that must be, and for one that is only below, more than once.
    """
    home = folder = Path(folder)
    found: dict[str, Path] = {}
    needed = {
        role: not all(file.optional for file in files) for role, files in source.files.items()
    }
    for role in sorted(source.files, key=lambda role: not needed[role]):
        files = source.files[role]
        at_hand = [path for file in files for path in _find(home, file.name, folder)]
        if at_hand:
            home = home if found else at_hand[0].parent
            found[role] = at_hand[0]
        elif needed[role]:
            names = " or ".join(file.name for file in files)
            hint = f"llm4rec fetch {source.dataset}"
            raise InputError(f"there is no {names}", file=home, hint=hint)
    return {role: found[role] for role in source.files if role in found}


def any_raw_file(source: Source, folder: Path) -> bool:
    """Whether `folder` holds, or one below it, any of the source's files."""
    names = {file.name for files in source.files.values() for file in files}
    return any(_find(folder, name, folder, several=True) for name in names)


def _find(home: Path, name: str, raw: Path, *, several: bool = False) -> list[Path]:
    """Files of that name, gzip or not: in `home` itself first, then below it, but not among the
    downloads of the folder `raw`."""
    names = (name, f"{name}.gz") if not name.endswith(".gz") else (name, name[:-3])
    here = [home / one for one in names if (home / one).is_file()]
    below = [
        path
        for one in names
        for path in sorted(home.rglob(one))
        if path.is_file() and path.relative_to(raw).parts[0] != DOWNLOADS
    ]
    if not here and len(below) > 1 and not several:
        hint = f"name the folder of one: {', '.join(str(path) for path in below)}"
        raise InputError(f"there are several {name}", file=home, hint=hint)
    return here or below


# Is the `source` of a property file what it must be? A slip in it is told before anything runs.


#: Format → what its files can be for; the first has the interactions, and must be there.
ROLES = {
    "sequences": ("sequences", "attributes", "ids", "titles", "texts", "products"),
    "movielens_dat": ("ratings", "items", "users"),
    "movielens_csv": ("ratings", "items", "tags"),
    "amazon_2014": ("reviews", "items"),
    "amazon_2023": ("reviews", "items"),
    "yelp": ("reviews", "items", "users", "tips", "checkins"),
    "atomic": ("inter", "item", "user"),  # RecBole's own: nothing to convert
}
TIMES = ("seconds", "position")


def check_source(source: Source) -> None:
    """Raises InputError for the first thing that cannot be."""
    for name in ("format", "times", "home", "licence", "accept"):
        if not isinstance(getattr(source, name), str):
            raise InputError(f"{name} is {getattr(source, name)!r}", hint="a text")
    _one_of(ROLES, "format", source.format)
    _one_of(TIMES, "times", source.times)
    needed = ROLES[source.format][0]
    for role in source.files:
        _one_of(ROLES[source.format], "a role in files", role)
    if not source.files.get(needed):
        raise InputError(f"files names no file for {needed}", hint=f"{source.format} needs one")
    for role, files in source.files.items():
        if not files:
            raise InputError(f"files names no file for {role}")
        for file in files:
            _check_file(file)
    if source.archive is not None:
        _check_file(source.archive)
    check_filters(source.keep)
    for name in ("rows", "statistics"):
        if not isinstance(getattr(source, name), dict):
            raise InputError(f"{name} is {getattr(source, name)!r}", hint="names and numbers")
    for role, count in source.rows.items():
        _one_of(source.files, "a role in rows", role)
        whole_number(f"rows of {role}", count, least=0)
    for name, number in source.statistics.items():
        number_in("[0, inf)", f"statistics: {name}", number)


def _one_of(known: Any, what: str, value: Any) -> None:
    if value not in known:
        near = difflib.get_close_matches(str(value), known, n=1)
        hint = f"there are {', '.join(known)}" + "".join(f"; nearest is {name}" for name in near)
        raise InputError(f"{what} is {value!r}", hint=hint)


def _check_file(file: RawFile) -> None:
    kinds = get_type_hints(type(file))
    for column in dataclasses.fields(file):
        value = getattr(file, column.name)
        if not isinstance(value, kinds[column.name]):
            raise InputError(f"{column.name} of a file is {value!r}")
    if PurePath(file.name).name != file.name:
        raise InputError(f"the name of a file is {file.name!r}", hint="a name without folders")
