"""Categories of items and groups of users, by internal id, from the files beside the interactions.

    <dataset>.item ─▶ item_categories  (n_items, C)
    <dataset>.user ─▶ user_groups      {attribute: (n_users,)}

Ages are put into the bands that MovieLens-1M uses, so that its coded ages stay what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from llm4rec_recbole.data.content import read_items, read_users

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
