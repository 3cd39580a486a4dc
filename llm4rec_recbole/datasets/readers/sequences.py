"""User sequences as S3-Rec, P5 and OpenP5 publish them: `user item item item …`, a user a line.

    sequences    1 1 2 3 4 5                        oldest first, without times
    attributes   {"4": [1, 2, 3], …}                item → numbers of its attributes
    ids          {"id2item": {"1": "B004…"}, …}     numbers → the ids in `titles`
    titles       B004756YJA lip gloss clear         original id, then the words of the item's title
    texts        {"0": {"title": …, "description": "Diners, Greek"}}    item number − 1
    products     {"asin": "0310263662", "title": …, …}    Amazon's metadata of 2014 (reviews.py)

The time of an interaction is its index in the user's sequence, from 1 (`timestamps:
sequence_index`). This orders the interactions of one user, which is enough for `loo`. It does not
order two users' interactions, so `temporal` is refused.

Attributes stay numbers: the names published for Beauty and Sports belong to other attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm4rec_recbole.data.line_reader import read_lines
from llm4rec_recbole.datasets import base
from llm4rec_recbole.datasets.readers.json_lines import read_json_object
from llm4rec_recbole.datasets.readers.reviews import read_products
from llm4rec_recbole.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

NOT_IN_SEQUENCES = "not in the sequences"
_UNITS = {"attributes": "items", "ids": "ids", "titles": "titles", "texts": "texts"}


def read(files: dict[str, Path], staging: Path) -> base.RawData:
    """Read the files by role. Raises InputError for a broken file and a user with two lines."""
    path = files["sequences"]
    row_report, log = base.RowReport(path, "interactions"), base.LogBuilder()
    line_of_user: dict[str, int] = {}
    for number, line in read_lines(path):
        if not line.strip():
            raise InputError("a blank line", file=path, line=number)
        user, *items = line.split()
        if user in line_of_user:
            message = f"user {user!r} has a sequence in line {line_of_user[user]} already"
            raise InputError(message, file=path, line=number)
        line_of_user[user] = number
        row_report.read += len(items)
        for index, item in enumerate(items, 1):
            if base.is_valid_token(user) and base.is_valid_token(item):
                log.add(user, item, index)
            else:
                row_report.drop(base.BAD_ID, number)
    data = base.RawData(log.build(), {"sequences": row_report})
    if "products" in files:
        products = data.row_reports["items"] = base.RowReport(files["products"], "products")
        data.items = read_products(files["products"], products)
    else:
        data.items, row_reports = read_items(files, list(data.log.item_tokens))
        data.row_reports.update(row_reports)
    return data


def read_items(
    files: dict[str, Path], tokens: list[str]
) -> tuple[pd.DataFrame | None, dict[str, base.RowReport]]:
    """A row for each of the sequences' items `tokens`, and a row report for each file, by role.

    The table is None if no file describes items. Every entry of a file is counted. Raises
    InputError for a broken file, and for texts if the items are not numbers.
    """
    import pandas as pd

    table: dict[str, list[Any]] = {"item_id": tokens}
    row_reports: dict[str, base.RowReport] = {}

    def report(role: str) -> base.RowReport:
        return row_reports.setdefault(role, base.RowReport(files[role], _UNITS[role]))

    if "attributes" in files:
        entries = read_json_object(files["attributes"])
        why = "not a list of numbers or names"
        names = _select(entries, set(tokens), report("attributes"), _is_list_of_names, why)
        table["categories"] = [names.get(token, []) for token in tokens]
    if "titles" in files:
        report("titles")
        original = _read_ids(files["ids"], set(tokens), report("ids")) if "ids" in files else {}
        originals = [original.get(token, token) for token in tokens]
        titles = _read_titles(files["titles"], set(originals), report("titles"))
        table["title"] = [titles.get(id_) for id_ in originals]
    if "texts" in files:
        keys = _text_keys(files["texts"], tokens)
        entries = read_json_object(files["texts"])
        why = "not an object with texts"
        by_key = _select(entries, set(keys), report("texts"), _has_texts, why)
        texts = [by_key.get(key, {}) for key in keys]
        table["title"] = [text.get("title") for text in texts]
        table["categories"] = [
            [name for name in (text.get("description") or "").split(", ") if name] for text in texts
        ]
    return (pd.DataFrame(table) if len(table) > 1 else None), row_reports


def _select(
    entries: dict[str, Any],
    ids: set[str],
    row_report: base.RowReport,
    is_valid: Callable[[Any], bool],
    why_invalid: str,
) -> dict[str, Any]:
    """The valid entries of `ids`. The others are counted."""
    selected = {}
    for name, value in entries.items():
        row_report.read += 1
        if name not in ids:
            row_report.drop(NOT_IN_SEQUENCES)
        elif not is_valid(value):
            row_report.drop(why_invalid)
        else:
            selected[name] = value
    return selected


def _is_list_of_names(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(name, int | str) and not isinstance(name, bool) for name in value
    )


def _has_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(field), str | None) for field in ("title", "description")
    )


def _read_ids(path: Path, tokens: set[str], row_report: base.RowReport) -> dict[str, str]:
    """Item number → original id."""
    names = read_json_object(path).get("id2item")
    if not isinstance(names, dict):
        raise InputError("it has no 'id2item' from numbers to ids", file=path)
    why = "an id that is not a string"
    return _select(names, tokens, row_report, lambda name: isinstance(name, str), why)


def _read_titles(path: Path, ids: set[str], row_report: base.RowReport) -> dict[str, str]:
    """Original id → title."""
    titles: dict[str, str] = {}
    for number, line in read_lines(path):
        original, _, words = line.partition(" ")
        row_report.read += 1
        if original not in ids:
            row_report.drop(NOT_IN_SEQUENCES, number)
        elif original in titles:
            row_report.drop(base.SECOND_ROW, number)
        else:
            titles[original] = words
    return titles


def _text_keys(path: Path, tokens: list[str]) -> list[str]:
    """The key of each item's text: its number − 1."""
    if not all(token.isascii() and token.isdigit() and len(token) < 19 for token in tokens):
        message = "its keys are item numbers, but the items of the sequences are not numbers"
        raise InputError(message, file=path)
    return [str(int(token) - 1) for token in tokens]
