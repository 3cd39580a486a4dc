"""Users files: one row for each test user, from which every accuracy figure is recomputed.

| column | type | meaning |
|---|---|---|
| user, target | string | raw tokens of the user and of the held-out item |
| rank_full, rank_uni100, rank_pop100 | float64 | 0 = best, ties count half |
| top_100 | list of string | raw item tokens, best first |
| intra_list_diversity@10, novelty@10 | float64 | of the first ten; null where undefined |

The last three columns are 95 % of it. Where git keeps users files (benchmarks/results), it keeps
the others: all that accuracy and its tests need.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.metrics import ACCURACY, mean_of_known
from llm4rec_recbole.evaluation.ranking import Rankings
from llm4rec_recbole.evaluation.record_reader import RANKINGS, Record, Runs
from llm4rec_recbole.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq


RANKS = ("rank_full", "rank_uni100", "rank_pop100")
BEYOND_ACCURACY = ("intra_list_diversity@10", "novelty@10")
RANKED = ("user", "target", *RANKS)
COLUMNS = (*RANKED, "top_100")


def write_users(
    path: str | Path,
    rankings: Rankings,
    user_tokens: Sequence[str] | np.ndarray,
    item_tokens: Sequence[str] | np.ndarray,
    per_user: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write `rankings` as Parquet, atomically; tokens are indexed by internal id, 0 the pad.

    per_user: further columns, (U,) float64 each, NaN where undefined.
    """
    import pyarrow as pa

    users, items = np.asarray(user_tokens, dtype=str), np.asarray(item_tokens, dtype=str)
    listed = rankings.top_100 > 0  # (U, K)
    offsets = np.concatenate([[0], np.cumsum(listed.sum(axis=1))]).astype(np.int32)
    table = pa.table(
        {
            "user": pa.array(users[rankings.users]),
            "target": pa.array(items[rankings.targets]),
            **{name: pa.array(getattr(rankings, name), pa.float64()) for name in RANKS},
            "top_100": pa.ListArray.from_arrays(
                pa.array(offsets), pa.array(items[rankings.top_100[listed]])
            ),
            **{name: pa.array(v, from_pandas=True) for name, v in (per_user or {}).items()},
        }
    )
    _write(path, table)


def write_ranks(path: str | Path, users_file: str | Path) -> None:
    """Write the ranks of `users_file` alone, as git holds them; see above."""
    import pyarrow as pa

    _write(path, pa.Table.from_pandas(read_users(users_file, RANKED), preserve_index=False))


def has_lists(path: str | Path) -> bool:
    """Whether the users file holds the lists; InputError as `read_users`."""
    with _opened(path) as file:
        return "top_100" in file.schema_arrow.names


def read_users(
    path: str | Path, columns: Sequence[str] = COLUMNS, if_there: Sequence[str] = ()
) -> pd.DataFrame:
    """Read `columns` of a users file and what it has of `if_there`, a row for each test user.

    Raises InputError when the file is absent, is not Parquet, or lacks one of `columns`.
    """
    with _opened(path) as file:
        names = file.schema_arrow.names
        missing = [name for name in columns if name not in names]
        if missing:
            raise InputError(f"the users file has no column {', '.join(missing)}", file=path)
        return file.read([*columns, *(name for name in if_there if name in names)]).to_pandas()


@contextmanager
def _opened(path: str | Path) -> Iterator[pq.ParquetFile]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            yield file
    except FileNotFoundError as error:
        raise InputError("there is no such users file", file=path) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError("not a whole Parquet file", file=path, hint="run it again") from error


def _write(path: str | Path, table: pa.Table) -> None:
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    write_atomically(path, buffer.getvalue())


# Accuracy of each user, recomputed from the ranks. A users file in git holds ranks alone: diversity
# and novelty are then NaN for each user.


TOLERANCE = 1e-9  # by which a record may differ from its users file

# (ranking, metric) -> (U,) values, in order of user; NaN where a user has none
Values = dict[tuple[str, str], np.ndarray]


def averaged(seeds: Mapping[str, Values]) -> dict[str, Values]:
    """Values (U,) averaged over seeds, from values (S, U)."""
    return {
        method: {column: values.mean(axis=0) for column, values in columns.items()}
        for method, columns in seeds.items()
    }


def per_seed_values(methods: Runs) -> dict[str, Values]:
    """Each method's values (S, U) for each of its S seeds and each user, by column.

    Raises InputError when users files are absent or bad, when a record disagrees with its users
    file by more than 1e-9, and when two runs were not tested on the same users and targets.
    """
    paths = [record.users_path for records in methods.values() for record in records]
    if absent := [str(path) for path in paths if not path.is_file()]:
        raise InputError(
            f"{len(absent)} users file(s) that a record speaks of are absent: {' '.join(absent)}",
            hint="`dvc pull` them, or run those methods again",
        )
    first: np.ndarray | None = None
    values_of = {}
    for method, records in methods.items():
        runs = []
        for record in records:
            tested, values = _read(record)
            first = tested if first is None else first
            if not np.array_equal(tested, first):
                raise InputError(
                    f"not the same test users and targets as {paths[0]}",
                    file=record.users_path,
                    hint="the data or the split has changed: run the older one again",
                )
            runs.append(values)
        values_of[method] = {c: np.stack([values[c] for values in runs]) for c in runs[0]}
    return values_of


def _read(record: Record) -> tuple[np.ndarray, Values]:
    """User and target (U, 2) str, sorted by user, and the values of the record's users file."""
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
    return users[["user", "target"]].to_numpy(str), values
