"""Users files: one row for each test user, from which every accuracy figure can be recomputed.

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
from llm4rec_recbole.evaluation.ranking import Rankings
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


def write_ranks(path: str | Path, whole: str | Path) -> None:
    """Write the users file `whole` without its lists and what is said of them; see above."""
    import pyarrow as pa

    _write(path, pa.Table.from_pandas(read_users(whole, RANKED), preserve_index=False))


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
