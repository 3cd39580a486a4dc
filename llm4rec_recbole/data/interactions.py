"""The interactions of an atomic file, in file order, with exact times; their counts and order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4rec_recbole.data.atomic import read_atomic
from llm4rec_recbole.data.atomic_format import DEFAULT_FORMAT, AtomicFormat
from llm4rec_recbole.data.splits import Split

if TYPE_CHECKING:
    import pandas as pd

HOUR = 3600  # seconds


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


def time_order(times: np.ndarray, split: Split) -> dict[str, float]:
    """What a protocol's split does to the order of time, as four shares of `split`.

    `loo` tests each user at a time of its own. A model then trains on interactions that other
    users had later than that. `temporal` has one cut for all users, and trains on nothing later.

    times: (N,), of all interactions, in seconds.


    train_later_than_test    mean over test users of the share of the training interactions
                             that are later than the user's test item
    valid_not_before_test    the same share of the validation items, those of equal time too
    test_at_last_time        share of the test items at the same time as the item before
    test_within_an_hour      share of the test items at most an hour after the item before
    """
    tested = times[split.test_rows]  # (U,)
    train, valid = np.sort(times[split.train]), np.sort(times[split.valid_rows])
    not_later = np.searchsorted(train, tested, side="right")  # (U,) training interactions
    before = np.searchsorted(valid, tested, side="left")  # (U,) validation items
    gaps = tested - split.log.times[split.test_at - 1]  # (U,) since the item before
    shares = {
        "train_later_than_test": 1 - not_later.mean() / len(train),
        "valid_not_before_test": 1 - before.mean() / len(valid),
        "test_at_last_time": (gaps == 0).mean(),
        "test_within_an_hour": (gaps <= HOUR).mean(),
    }
    return {name: round(float(share), 4) for name, share in shares.items()}
