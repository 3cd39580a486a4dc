"""ml-100k, split by this project's exact-order leave-one-out, for workers that bring no data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from llm4rec_recbole.data.splits import Log, Split, leave_one_out
from llm4rec_recbole.files import recbole_folder

NAMES = ("user_id:token", "item_id:token", "timestamp:float")


def folder() -> Path:
    """The folder of the ml-100k that the recbole wheel carries."""
    return recbole_folder() / "dataset_example" / "ml-100k"


def interactions() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users, items and times (N,) int64 of the ml-100k in the recbole wheel, in file order."""
    with open(folder() / "ml-100k.inter", encoding="utf-8") as file:
        header = file.readline().rstrip("\n").split("\t")
        columns = [header.index(name) for name in NAMES]
        table = np.loadtxt(file, dtype=np.int64, delimiter="\t", usecols=columns)  # (N, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def write_for_workers(path: Path) -> Split:
    """Write what RecTools' worker reads; return the split. Arrays, each in exact order:

    `train_users`, `train_items` (N,): what trains. `history_users`, `history_items` (H,): what a
    test user did before the test, the validation item included. `users`, `targets` (U,): the test.
    """
    users, items, times = interactions()
    split = leave_one_out(Log(users, items, times))
    lengths = np.diff(split.test.indptr)
    np.savez(
        path,
        train_users=users[split.train],
        train_items=items[split.train],
        history_users=np.repeat(split.test.users, lengths),
        history_items=split.test.items,
        users=split.test.users,
        targets=split.test.targets,
    )
    return split
