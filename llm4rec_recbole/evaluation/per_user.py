"""Per-user accuracy of every method, recomputed from the users files; diversity, novelty read.

A users file that git keeps holds ranks alone: diversity and novelty are then NaN for each user.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.metrics import ACCURACY, mean_of_known
from llm4rec_recbole.evaluation.records import RANKINGS, Record
from llm4rec_recbole.evaluation.users_file import BEYOND_ACCURACY, RANKED, read_users

TOLERANCE = 1e-9  # by which a record may differ from its users file

# (ranking, metric) -> (U,) values, in order of user; NaN where a user has none
Values = dict[tuple[str, str], np.ndarray]


@dataclass(frozen=True)
class _Run:
    record: Record
    tested: np.ndarray  # (U, 2) str: user and target, sorted by user
    values: Values


def per_user_values(methods: dict[str, list[Record]]) -> dict[str, Values]:
    """Each method's values for each user of one data set and protocol, averaged over its seeds.

    Raises InputError as `per_seed_values` does.
    """
    return {
        method: {column: np.mean(values, axis=0) for column, values in columns.items()}
        for method, columns in per_seed_values(methods).items()
    }


def per_seed_values(methods: dict[str, list[Record]]) -> dict[str, Values]:
    """Each method's values (S, U) for each of its S seeds and each user, by column.

    Raises InputError when users files are absent or bad, when a record disagrees with its users
    file by more than 1e-9, and when two runs were not tested on the same users and targets.
    """
    records = [record for method in methods.values() for record in method]
    _require_users_files(records)
    first: _Run | None = None
    values_of = {}
    for method, its_records in methods.items():
        runs = [_read(record) for record in its_records]
        for run in runs:
            first = first or run
            if not np.array_equal(run.tested, first.tested):
                raise InputError(
                    f"not the same test users and targets as {first.record.users_path}",
                    file=run.record.users_path,
                    hint="the data or the split has changed: run the older one again",
                )
        values_of[method] = {
            column: np.stack([run.values[column] for run in runs]) for column in runs[0].values
        }
    return values_of


def _require_users_files(records: list[Record]) -> None:
    absent = [str(record.users_path) for record in records if not record.users_path.is_file()]
    if absent:
        raise InputError(
            f"{len(absent)} users file(s) that a record speaks of are absent: {' '.join(absent)}",
            hint="`dvc pull` them, or run those methods again",
        )


def _read(record: Record) -> _Run:
    path = record.users_path
    users = read_users(path, RANKED, if_there=BEYOND_ACCURACY)
    users = users.sort_values("user", kind="stable")
    if not len(users):
        raise InputError("the users file has no rows", file=path)
    if users["user"].duplicated().any():
        twice = users["user"][users["user"].duplicated()].iloc[0]
        raise InputError(f"user {twice} has two rows", file=path)
    values: Values = {}
    for ranking in RANKINGS:
        ranks = users[f"rank_{ranking}"].to_numpy(np.float64)
        if not (np.isfinite(ranks) & (ranks >= 0)).all():
            raise InputError(f"rank_{ranking} has a NaN or a negative rank", file=path)
        for metric, (function, k) in ACCURACY.items():
            values[ranking, metric] = function(ranks, k)
    recorded: dict[tuple[str, str], float | None] = {**record.accuracy}
    for metric in BEYOND_ACCURACY:
        if metric in users:
            values["full", metric] = users[metric].to_numpy(np.float64)
            recorded["full", metric] = record.beyond_accuracy[metric]
        else:
            values["full", metric] = np.full(len(users), np.nan)
    for (ranking, metric), number in recorded.items():
        recomputed = mean_of_known(values[ranking, metric])
        expected = np.nan if number is None else number
        if not np.isclose(recomputed, expected, rtol=0, atol=TOLERANCE, equal_nan=True):
            raise InputError(
                f"test {ranking} {metric} is {number!r}, but {path} gives {recomputed!r}",
                file=record.path,
                hint="one of the two is from another run: run it again",
            )
    return _Run(record, users[["user", "target"]].to_numpy(str), values)
