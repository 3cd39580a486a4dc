"""The range of user fairness when user groups are random: results/fairness_null.csv.

The users' part of fairness compares the mean NDCG of groups. Means of small groups differ even
where the method treats all users alike. So the groups are assigned to random users many times.
The middle 95 % of the resulting values is the range under the null. All attributes of a user move
together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llm4rec_recbole.data.dataset_files import data_file
from llm4rec_recbole.data.features import user_groups
from llm4rec_recbole.evaluation.metrics import ndcg, parity, shuffled_parity
from llm4rec_recbole.evaluation.records import Record, read_records, read_rows
from llm4rec_recbole.evaluation.users_file import read_users

FILE = "fairness_null.csv"
SHUFFLES = 499
K = 10


@dataclass(frozen=True)
class NullRange:
    """The users' part of one run's fairness, and its 95 % range with the groups shuffled."""

    dataset: str
    protocol: str
    method: str
    seed: int
    users: int
    users_part: float
    low: float
    high: float
    shuffles: int


def shuffle_groups(
    benefit: np.ndarray, groups: Mapping[str, np.ndarray], shuffles: int = SHUFFLES, seed: int = 0
) -> tuple[float, np.ndarray]:
    """The mean parity over the attributes, and (shuffles,) values with random groups.

    benefit: (U,). groups: (U,) int for each attribute, -1 where unknown, at least two groups each.
    """
    memberships = [np.eye(codes.max() + 1)[codes] * (codes >= 0)[:, None]
                   for codes in groups.values()]  # fmt: skip

    measured = float(np.mean([parity(benefit, membership) for membership in memberships]))
    return measured, shuffled_parity(benefit, memberships, shuffles, seed)


def null_ranges(results: Path, data: Path) -> list[NullRange]:
    """A row for each run whose data set has groups of users.

    data: the folder that holds a folder of atomic files for each data set.

    Raises InputError for a bad or absent users file.
    """
    rows = [_row(record, data) for record in read_records(results)]
    return [row for row in rows if row is not None]


def _row(record: Record, data: Path) -> NullRange | None:
    users = read_users(record.users_path, ["user", "rank_full"])
    attributes = user_groups(data_file(record.dataset, "user", data), users["user"].to_numpy(str))
    several = {name: c for name, c in attributes.items() if len(np.unique(c[c >= 0])) > 1}
    if not several:
        return None
    measured, permuted = shuffle_groups(ndcg(users["rank_full"].to_numpy(), K), several)
    low, high = np.quantile(permuted, [0.025, 0.975])
    return NullRange(
        record.dataset,
        record.protocol,
        record.method,
        record.seed,
        len(users),
        measured,
        float(low),
        float(high),
        SHUFFLES,
    )


def read_null_ranges(path: Path) -> list[NullRange]:
    """The rows of results/fairness_null.csv; [] where there is no file. Raises InputError
    with the line for a bad row."""
    hint = "run `llm4rec fairness_null` again"
    return read_rows(path, NullRange, hint) if path.is_file() else []
