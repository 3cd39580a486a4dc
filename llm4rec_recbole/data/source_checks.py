"""Is the `source` of a property file what it must be? A slip in it is told before anything runs."""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, get_type_hints

from llm4rec_recbole.data.keep import check_filters
from llm4rec_recbole.errors import InputError, number_in, whole_number

if TYPE_CHECKING:
    from llm4rec_recbole.data.source import RawFile, Source

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
    for field in dataclasses.fields(file):
        value = getattr(file, field.name)
        if not isinstance(value, kinds[field.name]):
            raise InputError(f"{field.name} of a file is {value!r}")
    if PurePath(file.name).name != file.name:
        raise InputError(f"the name of a file is {file.name!r}", hint="a name without folders")
