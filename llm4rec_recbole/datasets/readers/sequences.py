"""What the files beside user sequences say of the items (data/sequences.py shows the files).

Every entry is counted: it is kept, or it is of no item in the sequences, or it is not what such an
entry has to be.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm4rec_recbole.data.line_reader import open_bytes, read_lines
from llm4rec_recbole.datasets.archives import BROKEN
from llm4rec_recbole.datasets.base import BAD_ID, LogBuilder, RawData, is_id
from llm4rec_recbole.datasets.readers.amazon_2014 import read_products
from llm4rec_recbole.datasets.readers.json_lines import whole
from llm4rec_recbole.datasets.row_report import Tally
from llm4rec_recbole.datasets.spec import Source
from llm4rec_recbole.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


NOT_THERE = "not in the sequences"


def read_items(
    files: dict[str, Path], tokens: list[str]
) -> tuple[pd.DataFrame | None, dict[str, Tally]]:
    """A row for each of the sequences' items `tokens`, and a tally for each file, by role.

    The table is None where no file says anything of items. Raises InputError for a broken file, and
    for texts, which know items by number, beside items that are no numbers.
    """
    import pandas as pd

    table: dict[str, list[Any]] = {"item_id": tokens}
    units = {"attributes": "items", "titles": "titles", "texts": "texts"}
    tallies = {role: Tally(files[role], unit) for role, unit in units.items() if role in files}
    if "attributes" in files:
        of_item = read_json(files["attributes"])
        why = "no list of numbers or names"
        kept = _entries(of_item, set(tokens), tallies["attributes"], _are_names, why)
        table["categories"] = [kept.get(token, []) for token in tokens]
    if "titles" in files:
        names = {}
        if "ids" in files:
            tallies["ids"] = Tally(files["ids"], "ids")
            names = _ids(files["ids"], set(tokens), tallies["ids"])
        originals = [names.get(token, token) for token in tokens]
        titles = _titles(files["titles"], set(originals), tallies["titles"])
        table["title"] = [titles.get(original) for original in originals]
    if "texts" in files:
        keys = _places(files["texts"], tokens)
        why = "no object with texts"
        texts = _entries(
            read_json(files["texts"]), set(keys), tallies["texts"], _says_something, why
        )
        found = [texts.get(key, {}) for key in keys]
        table["title"] = [text.get("title") for text in found]
        table["categories"] = [
            [name for name in (text.get("description") or "").split(", ") if name] for text in found
        ]
    return (pd.DataFrame(table) if len(table) > 1 else None), tallies


def _entries(
    entries: dict[str, Any],
    known: set[str],
    tally: Tally,
    is_good: Callable[[Any], bool],
    why: str,
) -> dict[str, Any]:
    """The entries of `known` items that are good; `why` tells what another is."""
    kept = {}
    for name, value in entries.items():
        tally.read += 1
        if name not in known:
            tally.drop(NOT_THERE)
        elif not is_good(value):
            tally.drop(why)
        else:
            kept[name] = value
    return kept


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(name, int | str) and not isinstance(name, bool) for name in value
    )


def _says_something(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(field), str | None) for field in ("title", "description")
    )


def _ids(path: Path, known: set[str], tally: Tally) -> dict[str, str]:
    names = read_json(path).get("id2item")
    if not isinstance(names, dict):
        raise InputError("it has no 'id2item' from numbers to ids", file=path)
    return _entries(
        names, known, tally, lambda name: isinstance(name, str), "an id that is no text"
    )


def _titles(path: Path, known: set[str], tally: Tally) -> dict[str, str]:
    kept: dict[str, str] = {}
    for number, line in read_lines(path):
        original, _, words = line.partition(" ")
        tally.read += 1
        if original not in known:
            tally.drop(NOT_THERE, number)
        elif original in kept:
            tally.drop("an id that came before", number)
        else:
            kept[original] = words
    return kept


def _places(path: Path, tokens: list[str]) -> list[str]:
    """The texts' key of each item: its number − 1."""
    if not all(token.isascii() and token.isdigit() and len(token) < 19 for token in tokens):
        raise InputError("its items are numbers, and those of the sequences are not", file=path)
    return [str(int(token) - 1) for token in tokens]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, with a "?" for each half of a character. Raises InputError, with the line
    where one is known, when the file is none or is cut short."""
    with open_bytes(path) as file:
        try:
            value = whole(json.loads(file.read().decode()))
        except json.JSONDecodeError as error:
            message = f"not JSON, or cut short: {error.msg}"
            raise InputError(message, file=path, line=error.lineno) from None
        except UnicodeDecodeError as error:
            raise InputError(f"not valid UTF-8: {error.reason}", file=path) from None
        except BROKEN as error:
            raise InputError(f"broken, perhaps cut short: {error}", file=path) from None
        except (ValueError, RecursionError) as error:  # of thousands of digits or brackets
            why = str(error).partition(";")[0]
            raise InputError(f"it cannot be read: {why}", file=path) from None
    if not isinstance(value, dict):
        raise InputError("it must hold a JSON object", file=path, line=1)
    return value


# User sequences, as S3-Rec, P5 and OpenP5 publish them: `user item item item …`, a user a line.
#
#     sequences    1 1 2 3 4 5                        oldest first; there are no times
#     attributes   {"4": [1, 2, 3], …}                item → numbers of its attributes
#     ids          {"id2item": {"1": "B004…"}, …}     numbers → the ids of `titles`
#     titles       B004756YJA lip gloss clear         original id, then words of the item's title
#     texts        {"0": {"title": …, "description": "Diners, Greek"}}    item number − 1
#     products     {"asin": "0310263662", "title": …, …}    Amazon's metadata of 2014
#     (amazon_2014.py)
#
# The time of an interaction is its position in the user's sequence, from 1. That orders a user's
# own
# interactions, as `loo` needs, and says nothing of two users': there is no `temporal`.
#
# Attributes stay numbers: in the published files of Beauty and Sports their names do not belong to
# them.


def read(files: dict[str, Path], source: Source, scratch: Path) -> RawData:
    """Read the files by role. Raises InputError for a broken file or a user that comes twice."""
    tally = Tally(files["sequences"], "interactions")
    log = LogBuilder()
    lines: dict[str, int] = {}
    for number, line in read_lines(files["sequences"]):
        if not line.strip():
            raise InputError("a blank line", file=files["sequences"], line=number)
        user, *items = line.split()
        if user in lines:
            message = f"user {user!r} has a sequence in line {lines[user]} already"
            raise InputError(message, file=files["sequences"], line=number)
        lines[user] = number
        tally.read += len(items)
        for position, item in enumerate(items, 1):
            if is_id(user) and is_id(item):
                log.add(user, item, position)
            else:
                tally.drop(BAD_ID, number)
    built = log.build()
    data = RawData(built, {"sequences": tally})
    if "products" in files:
        data.tallies["items"] = Tally(files["products"], "products")
        data.items = read_products(files["products"], data.tallies["items"])
    else:
        data.items, tallies = read_items(files, list(built.item_tokens))
        data.tallies.update(tallies)
    return data
