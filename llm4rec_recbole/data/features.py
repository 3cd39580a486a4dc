"""What is known of items and users: titles, years, categories; age, gender, occupation.

Read from the `.item` and `.user` files that lie beside the interactions. Their columns have the
names that data/write_atomic.py gives them, or those of RecBole's own MovieLens files. The text is
cleaned no further than this:

- A trailing article moves to the front, in the title and in a translated title in brackets:
  "Double vie de Véronique, La (Double Life of Veronique, The)" becomes
  "La Double vie de Véronique (The Double Life of Veronique)", "Postino, Il" "Il Postino", and
  "Enfer, L'" "L'Enfer".
- A year in brackets at the title's end is taken off, and is the year where the file has none.
- In categories `_` is a space: RecBole parts them at spaces. One before a text is dropped.
- "unknown", and the wheel's own "unkonwn", are no title, no year and no category.

Two items may have one title and year: ml-100k lists some films under two ids. They stay two.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

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


def read_items(path: str | Path) -> pd.DataFrame:
    """Items in file order: item_id str, title str, year Int16, categories list of str, and where
    the file has them description str and price Float64.

    What the file does not say is "", <NA> or []. Raises InputError without an `item_id` column, for
    an item that comes twice, and for a price that is no number.
    """
    import pandas as pd

    raw = _read(path, "item_id")
    titles = _first(raw, "title", "movie_title")
    years = _first(raw, "year", "release_year")
    at_end = titles.str.extract(_YEAR_AT_END, expand=False)
    is_year = years.str.fullmatch("[0-9]{4}")
    items = pd.DataFrame(
        {
            "item_id": raw["item_id"],
            "title": titles.map(clean_title),
            "year": pd.to_numeric(years.where(is_year, at_end)).astype("Int16"),
            "categories": [
                [word.replace("_", " ") for word in text.split(" ") if word not in _UNKNOWN]
                for text in _first(raw, "categories", "class", "genre")
            ],
        }
    )
    if "description" in raw:
        items["description"] = raw["description"].str.lstrip(" ")
    if "price" in raw:
        items["price"] = _numbers(raw["price"], path)
    return items


def _first(raw: pd.DataFrame, *names: str) -> pd.Series:
    """The first of the columns `names` that is there; "" for all rows where none is."""
    import pandas as pd

    return next((raw[name] for name in names if name in raw), pd.Series("", index=raw.index))


def read_users(path: str | Path) -> pd.DataFrame:
    """Users in file order: user_id str, age Int16, gender str, occupation str, and where the file
    has them `since` (a year) and `elite` ("yes", "no") str; unknown <NA> or "".

    An age counts whole years; one that nobody has is unknown. Raises InputError without a `user_id`
    column, and for a user who comes twice.
    """
    import pandas as pd

    raw = _read(path, "user_id")
    blank = pd.Series("", index=raw.index)
    ages = pd.to_numeric(raw.get("age", blank), errors="coerce")
    users = pd.DataFrame(
        {
            "user_id": raw["user_id"],
            "age": np.floor(ages.where(ages.between(0, _OLDEST))).astype("Int16"),
            "gender": raw.get("gender", blank),
            "occupation": raw.get("occupation", blank),
        }
    )
    for name in ("since", "elite"):
        if name in raw:
            users[name] = raw[name]
    return users


def clean_title(title: str) -> str:
    """`title` with its articles in front, without a year at its end, "" where it is unknown."""
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


def _read(path: str | Path, id_column: str) -> pd.DataFrame:
    import pandas as pd

    table = pd.read_csv(path, sep="\t", dtype=str, na_filter=False, quoting=3)
    table = table.rename(columns=lambda name: name.partition(":")[0])
    if id_column not in table:
        hint = f"there are {', '.join(table)}"
        raise InputError(f"column {id_column!r} is missing", file=path, line=1, hint=hint)
    if (again := table[id_column].duplicated()).any():
        row = int(again.to_numpy().argmax())
        message = f"{id_column} {table[id_column][row]!r} comes a second time"
        raise InputError(message, file=path, line=row + 2)
    return table


def _numbers(texts: pd.Series, path: str | Path) -> pd.Series:
    """Float64, <NA> where there is no text. Raises InputError for the first that is no number."""
    import pandas as pd

    numbers = pd.to_numeric(texts, errors="coerce").astype("Float64")
    if (bad := numbers.isna() & (texts.str.strip() != "")).any():
        row = int(bad.to_numpy().argmax())
        message = f"{texts.name} is {texts[row]!r}, not a number"
        raise InputError(message, file=path, line=row + 2)
    return numbers


# Categories of items and groups of users, by internal id, from the files beside the interactions.
#
#     <dataset>.item ─▶ item_categories  (n_items, C)
#     <dataset>.user ─▶ user_groups      {attribute: (n_users,)}
#
# Ages are put into the bands that MovieLens-1M uses, so that its coded ages stay what they are.


AGES = (18, 25, 35, 45, 50, 56)  # where a new band begins: under 18, 18-24, ..., 50-55, 56+


def item_categories(path: str | Path, item_tokens: Sequence[str] | np.ndarray) -> np.ndarray:
    """Which categories each item is of, (n_items, C) bool, in alphabetical order of category.

    item_tokens: (n_items,) raw tokens by internal id, the pad first. C is 0 where there is no file
    at `path`, or no category in it; an item that it lacks is of none.
    """
    if not Path(path).is_file():
        return np.zeros((len(item_tokens), 0), dtype=bool)
    items = read_items(path)
    of_token = dict(zip(items["item_id"], items["categories"]))
    of_item = [of_token.get(token, ()) for token in item_tokens]
    number = {name: n for n, name in enumerate(sorted({c for names in of_item for c in names}))}
    marks = np.zeros((len(item_tokens), len(number)), dtype=bool)
    for item, names in enumerate(of_item):
        marks[item, [number[name] for name in names]] = True
    return marks


def user_groups(path: str | Path, user_tokens: Sequence[str] | np.ndarray) -> dict[str, np.ndarray]:
    """Each user's gender, age band, occupation and elite status as numbers: (n_users,) int64, -1 =
    not known.

    user_tokens: (n_users,) raw tokens by internal id, the pad first. An attribute with fewer than
    two groups is left out; without a file at `path` nothing is left.
    """
    if not Path(path).is_file():
        return {}
    import pandas as pd

    users = read_users(path).drop_duplicates("user_id").set_index("user_id")
    users = users.reindex(np.asarray(user_tokens, dtype=str))
    bands = pd.cut(users["age"].astype("Float64"), [-np.inf, *AGES, np.inf], right=False)
    columns: dict[str, pd.Series] = {
        "gender": users["gender"].replace("", None),
        "age": bands.astype(object),
        "occupation": users["occupation"].replace("", None),
    }
    if "elite" in users:
        columns["elite"] = users["elite"].replace("", None)
    groups = {}
    for name, column in columns.items():
        codes, names = pd.factorize(column, sort=True)
        if len(names) > 1:
            groups[name] = codes.astype(np.int64)
    return groups
