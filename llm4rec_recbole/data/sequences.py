"""User sequences, as S3-Rec, P5 and OpenP5 publish them: `user item item item …`, a user a line.

    sequences    1 1 2 3 4 5                        oldest first; there are no times
    attributes   {"4": [1, 2, 3], …}                item → numbers of its attributes
    ids          {"id2item": {"1": "B004…"}, …}     numbers → the ids of `titles`
    titles       B004756YJA lip gloss clear         original id, then words of the item's title
    texts        {"0": {"title": …, "description": "Diners, Greek"}}    item number − 1
    products     {"asin": "0310263662", "title": …, …}    Amazon's metadata of 2014 (amazon_2014.py)

The time of an interaction is its position in the user's sequence, from 1. That orders a user's own
interactions, as `loo` needs, and says nothing of two users': there is no `timeline`.

Attributes stay numbers: in the published files of Beauty and Sports their names do not belong to
them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm4rec_recbole.data.amazon_2014 import read_products
from llm4rec_recbole.data.lines import open_bytes, read_lines
from llm4rec_recbole.data.places import BROKEN
from llm4rec_recbole.data.raw_log import LogBuilder, RawData, is_id
from llm4rec_recbole.data.source import Source
from llm4rec_recbole.data.tally import Tally
from llm4rec_recbole.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


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
                tally.drop("an id that reads as missing", number)
    built = log.build()
    data = RawData(built, {"sequences": tally})
    if "products" in files:
        data.tallies["items"] = Tally(files["products"], "products")
        data.items = read_products(files["products"], data.tallies["items"])
    else:
        data.items = _items(files, list(built.item_tokens))
    return data


def _items(files: dict[str, Path], tokens: list[str]) -> pd.DataFrame | None:
    """What the other files say of the items in the sequences; None where there are none."""
    import pandas as pd

    table: dict[str, list[Any]] = {"item_id": tokens}
    if "attributes" in files:
        attributes = read_json(files["attributes"])
        table["categories"] = [attributes.get(token, []) for token in tokens]
    if "titles" in files:
        names = _of_key(read_json(files["ids"]), "id2item", files["ids"]) if "ids" in files else {}
        pairs = (line.partition(" ") for _, line in read_lines(files["titles"]))
        titles = {original: words for original, _, words in pairs}
        table["title"] = [titles.get(names.get(token, token)) for token in tokens]
    if "texts" in files:
        texts = read_json(files["texts"])
        if not all(token.isdigit() for token in tokens):
            message = "its items are numbers, and those of the sequences are not"
            raise InputError(message, file=files["texts"])
        found = [texts.get(str(int(token) - 1)) or {} for token in tokens]
        table["title"] = [text.get("title") for text in found]
        table["categories"] = [
            [name for name in (text.get("description") or "").split(", ") if name] for text in found
        ]
    return pd.DataFrame(table) if len(table) > 1 else None


def _of_key(value: dict[str, Any], key: str, path: Path) -> Any:
    if key not in value:
        raise InputError(f"it has no {key!r}", file=path)
    return value[key]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises InputError, with the line, when the file is none or is cut short."""
    with open_bytes(path) as file:
        try:
            value = json.loads(file.read().decode())
        except json.JSONDecodeError as error:
            message = f"not JSON, or cut short: {error.msg}"
            raise InputError(message, file=path, line=error.lineno) from None
        except UnicodeDecodeError as error:
            raise InputError(f"not valid UTF-8: {error.reason}", file=path) from None
        except BROKEN as error:
            raise InputError(f"broken, perhaps cut short: {error}", file=path) from None
    if not isinstance(value, dict):
        raise InputError("it must hold a JSON object", file=path, line=1)
    return value
