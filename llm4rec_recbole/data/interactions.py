"""The interactions of an atomic file, in file order, with exact times."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4rec_recbole.data.table_cache import cached_table
from llm4rec_recbole.data.timestamps import another_unit, first_in_another_unit

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Interactions:
    """Parallel arrays, one entry per row of the file.

    Ids are numbered from 1 in the order in which they first appear; 0 is the pad.
    `user_tokens[id]` and `item_tokens[id]` are the ids as the file has them.
    """

    users: np.ndarray  # (N,) int64
    items: np.ndarray  # (N,) int64
    times: np.ndarray  # (N,) int64, or float64 where the file has fractions
    user_tokens: np.ndarray  # (n_users,) str
    item_tokens: np.ndarray  # (n_items,) str


def read_interactions(path: str | Path) -> Interactions:
    """Read a `.inter` file that `check_atomic_files` has passed.

    Raises InputError with the line of a time in another unit than those before it.
    """
    import pandas as pd

    names = ("user_id", "item_id", "timestamp")
    if cached := cached_table(path, names.__contains__):
        table = cached[0]
    else:
        table = pd.read_csv(
            path,
            sep="\t",
            usecols=["user_id:token", "item_id:token", "timestamp:float"],
            dtype={"user_id:token": str, "item_id:token": str},
            na_filter=False,
            quoting=3,  # quotes mean nothing
            float_precision="round_trip",
        )
        table = table.rename(columns=lambda name: name.partition(":")[0])
    times = table["timestamp"].to_numpy()
    if times.dtype.kind not in "if":  # whole numbers beyond int64
        times = times.astype(np.float64)
    if times.dtype.kind == "f" and (np.abs(times) < 2**53).all() and (times % 1 == 0).all():
        times = times.astype(np.int64)  # whole, however they were written or kept
    row = first_in_another_unit(times)
    if row is not None:
        raise another_unit(path, line=row + 2)
    users, user_tokens = _number(table["user_id"])
    items, item_tokens = _number(table["item_id"])
    return Interactions(users, items, times, user_tokens, item_tokens)


def statistics(log: Interactions) -> dict[str, Any]:
    """Users, items, interactions, `density` (the share of the user–item pairs that are there) and
    `mean_length` (interactions a user)."""
    n, n_users, n_items = len(log.users), len(log.user_tokens) - 1, len(log.item_tokens) - 1
    return {
        "users": n_users,
        "items": n_items,
        "interactions": n,
        "density": round(n / (n_users * n_items), 6),
        "mean_length": round(n / n_users, 2),
    }


def _number(tokens: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    import pandas as pd

    ids, names = pd.factorize(tokens)
    return ids.astype(np.int64) + 1, np.array(["[PAD]", *names], dtype=object)
