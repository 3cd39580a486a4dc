"""Features of items and users: titles, years, categories; age, gender, occupation.

They are read from the `.item` and `.user` files beside the interactions. Columns have the names
that datasets/convert.py writes, or those of RecBole's own MovieLens files. Texts are cleaned:

- A trailing article moves to the front, in the title and in a translated title in brackets.
  "Double vie de Véronique, La (Double Life of Veronique, The)" becomes
  "La Double vie de Véronique (The Double Life of Veronique)", "Postino, Il" becomes "Il Postino".
- A year in brackets at the end of a title is removed. It is the year when the file has no other.
- In categories `_` becomes a space, since RecBole separates categories by spaces. A space before a
  description is removed.
- "unknown", and "unkonwn" in the wheel's file, are no title, no year and no category.

Two items may have the same title and year: ml-100k lists some films under two ids.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llm4rec_recbole.data.atomic import read_atomic
from llm4rec_recbole.data.atomic_format import DEFAULT_FORMAT, AtomicFormat, AtomicTable
from llm4rec_recbole.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


_ARTICLES = frozenset(
    ["The", "A", "An", "La", "Le", "Les", "L'", "Il", "El", "Der", "Die", "Das", "Det", "O"]
)
_NO_BRACKETS = re.compile(r"[^()]+")
_YEAR_AT_END = re.compile(r" \(([0-9]{4})\)$")
_OLDEST = 130  # years
_UNKNOWN = {"", "unknown", "unkonwn"}
AGES = (18, 25, 35, 45, 50, 56)  # the first age of each band but the youngest, as in MovieLens-1M


def read_items(path: str | Path, file_format: AtomicFormat = DEFAULT_FORMAT) -> pd.DataFrame:
    """Items in file order: item_id str, title str, year Int16, categories list of str, and, where
    the file has them, description str and price Float64. Without a file there are no rows.

    A missing value is "", <NA> or []. Raises InputError without a column of item ids, for an item
    that occurs twice, and for a price that is no number.
    """
    table = read_atomic(path, file_format) if Path(path).exists() else None
    return _items(table, file_format.item_field).copy(deep=False)


#: The columns of an `.item` file that are read, besides the item's id.
_ITEM_COLUMNS = {
    *("title", "movie_title", "year", "release_year", "categories", "class", "genre"),
    *("description", "price", "city", "state"),  # explanations read the last two
}


def unread_item_columns(path: str | Path, file_format: AtomicFormat = DEFAULT_FORMAT) -> list[str]:
    """The columns of an `.item` file that no model of this project reads; none without a file."""
    if not Path(path).exists():
        return []
    names = read_atomic(path, file_format).types
    return [name for name in names if name not in (*_ITEM_COLUMNS, file_format.item_field)]


@functools.lru_cache(maxsize=4)
def _items(table: AtomicTable | None, id_field: str) -> pd.DataFrame:
    import pandas as pd

    raw = _unique_rows(table, id_field)
    titles = _first_of(raw, "title", "movie_title")
    years = _first_of(raw, "year", "release_year")
    years_at_end = titles.str.extract(_YEAR_AT_END, expand=False)
    is_year = years.str.fullmatch("[0-9]{4}")
    items = pd.DataFrame(
        {
            "item_id": raw[id_field],
            "title": titles.map(clean_title),
            "year": pd.to_numeric(years.where(is_year, years_at_end)).astype("Int16"),
            "categories": [
                [word.replace("_", " ") for word in text.split(" ") if word not in _UNKNOWN]
                for text in _first_of(raw, "categories", "class", "genre")
            ],
        }
    )
    if "description" in raw:
        items["description"] = raw["description"].str.lstrip(" ")
    if "price" in raw and table is not None:
        items["price"] = _numbers(raw["price"], table.path)
    return items


def _first_of(raw: pd.DataFrame, *names: str) -> pd.Series:
    """The first of the columns `names` that exists; "" for all rows when none does."""
    import pandas as pd

    empty = pd.Series("", index=raw.index, dtype=str)
    return next((raw[name] for name in names if name in raw), empty)


def read_users(path: str | Path, file_format: AtomicFormat = DEFAULT_FORMAT) -> pd.DataFrame:
    """Users in file order: user_id str, age Int16, gender str, occupation str, and, where the file
    has them, `since` (a year) and `elite` ("yes", "no") str. Without a file there are no rows.

    A missing value is <NA> or "". Ages are whole years; an impossible age is missing. Raises
    InputError without a column of user ids, and for a user who occurs twice.
    """
    table = read_atomic(path, file_format) if Path(path).exists() else None
    return _users(table, file_format.user_field).copy(deep=False)


@functools.lru_cache(maxsize=4)
def _users(table: AtomicTable | None, id_field: str) -> pd.DataFrame:
    import pandas as pd

    raw = _unique_rows(table, id_field)
    ages = pd.to_numeric(_first_of(raw, "age"), errors="coerce").astype(float)
    users = pd.DataFrame(
        {
            "user_id": raw[id_field],
            "age": np.floor(ages.where(ages.between(0, _OLDEST))).astype("Int16"),
            "gender": _first_of(raw, "gender"),
            "occupation": _first_of(raw, "occupation"),
        }
    )
    for name in ("since", "elite"):
        if name in raw:
            users[name] = raw[name]
    return users


def clean_title(title: str) -> str:
    """`title` with its articles in front and without a year at its end; "" when it is unknown."""
    title = _YEAR_AT_END.sub("", title.strip())
    if title.lower() in _UNKNOWN:
        return ""
    return _NO_BRACKETS.sub(_article_first, title)


def _article_first(part: re.Match[str]) -> str:
    """The part of a title between brackets, its trailing article moved to the front.

    One regular expression for this needed time quadratic in the length of the title.
    """
    before_bracket = part.string[part.end() : part.end() + 1] == "("
    end = " " if before_bracket else ""
    words, _, article = part[0].removesuffix(end).rpartition(", ")
    if not words or article not in _ARTICLES or not part[0].endswith(end):
        return part[0]
    return article + ("" if article.endswith("'") else " ") + words + end


def _unique_rows(table: AtomicTable | None, id_field: str) -> pd.DataFrame:
    """All columns as text. Raises InputError when the ids are missing, or one occurs twice."""
    import pandas as pd

    if table is None:
        return pd.DataFrame({id_field: pd.Series(dtype=str)})
    table.check_ids(id_field)
    return table.texts()


def _numbers(texts: pd.Series, path: Path) -> pd.Series:
    """Float64, <NA> for "". Raises InputError for the first text that is no number."""
    import pandas as pd

    numbers = pd.to_numeric(texts, errors="coerce").astype("Float64")
    if (bad := numbers.isna() & (texts.str.strip() != "")).any():
        row = int(bad.to_numpy().argmax())
        message = f"{texts.name} is {texts[row]!r}, not a number"
        raise InputError(message, file=path, line=row + 2)
    return numbers


def item_categories(
    path: str | Path,
    item_tokens: Sequence[str] | np.ndarray,
    file_format: AtomicFormat = DEFAULT_FORMAT,
) -> np.ndarray:
    """Which categories each item has, (n_items, C) bool, categories in alphabetical order.

    path: the `.item` file. item_tokens: (n_items,) raw tokens by internal id, the pad first. C is
    0 when there is no file or no category in it. An item that the file lacks has no category.
    """
    items = read_items(path, file_format)
    by_token = dict(zip(items["item_id"], items["categories"]))
    return multi_hot([by_token.get(token, ()) for token in item_tokens])[0]


def multi_hot(categories: Sequence[Sequence[str]]) -> tuple[np.ndarray, list[str]]:
    """(n_items, C) bool and the C names in alphabetical order, from each item's categories."""
    names = sorted({name for row in categories for name in row})
    column = {name: number for number, name in enumerate(names)}
    hot = np.zeros((len(categories), len(names)), dtype=bool)
    for item, row in enumerate(categories):
        hot[item, [column[name] for name in row]] = True
    return hot, names


def user_groups(
    path: str | Path,
    user_tokens: Sequence[str] | np.ndarray,
    file_format: AtomicFormat = DEFAULT_FORMAT,
) -> dict[str, np.ndarray]:
    """Each user's gender, age band, occupation and elite status as numbers, (n_users,) int64; -1
    is unknown.

    path: the `.user` file. user_tokens: (n_users,) raw tokens by internal id, the pad first. Ages
    fall into the bands of MovieLens-1M, so its coded ages do not change. An attribute with fewer
    than two groups is left out; without a file the result is empty.
    """
    import pandas as pd

    users = read_users(path, file_format).set_index("user_id")
    users = users.reindex(np.asarray(user_tokens, dtype=str))
    bands = pd.cut(users["age"].astype("Float64"), [-np.inf, *AGES, np.inf], right=False)
    groups = {}
    for name in ("gender", "age", "occupation", "elite"):
        if name not in users:
            continue
        column = bands.astype(object) if name == "age" else users[name].replace("", None)
        codes, names = pd.factorize(column, sort=True)
        if len(names) > 1:
            groups[name] = codes.astype(np.int64)
    return groups
