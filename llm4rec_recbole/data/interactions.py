"""The interactions of an atomic file, in file order, with exact times."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4rec_recbole.data.atomic import read_atomic
from llm4rec_recbole.data.atomic_format import DEFAULT_FORMAT, AtomicFormat

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


def read_interactions(path: str | Path, file_format: AtomicFormat = DEFAULT_FORMAT) -> Interactions:
    """Read a `.inter` file. Raises InputError, with the line, for its first defect."""
    fields = (file_format.user_field, file_format.item_field, file_format.time_field)
    table = read_atomic(path, file_format, fields)
    user_field, item_field, time_field = fields
    tokens = table.frame(lambda field: field in (user_field, item_field))
    users, user_tokens = _number(tokens[user_field])
    items, item_tokens = _number(tokens[item_field])
    return Interactions(users, items, table.times(time_field), user_tokens, item_tokens)


def statistics(log: Interactions) -> dict[str, Any]:
    """Counts of users, items and interactions; `density`, the share of user–item pairs that
    occur; and `mean_length`, the interactions per user."""
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
