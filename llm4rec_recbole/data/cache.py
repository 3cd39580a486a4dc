"""A columnar copy of a `.inter` file's users, items and times: read in a fraction of the time.

    <dataset>.inter  ─▶  cache/rows.parquet              ids as numbers, times
                         cache/users.parquet, items.parquet   the token of each number

It serves as long as the `.inter` file has the size and the time of change that it was made from,
and is made anew otherwise; deleting it loses nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from llm4rec_recbole.data.interactions import Interactions, read_interactions
from llm4rec_recbole.files import replacing

_KEY = b"made_from"


def cached_interactions(path: str | Path) -> Interactions:
    """What `read_interactions(path)` returns, from the cache beside it, which is made if need be.

    Raises OSError when the cache cannot be written.
    """
    path = Path(path)
    folder = path.parent / "cache"
    made_from = f"{path.stat().st_size} {path.stat().st_mtime_ns}".encode()
    log = _read(folder, made_from)
    if log is None:
        log = read_interactions(path)
        _write(folder, log, made_from)
    return log


def _write(folder: Path, log: Interactions, made_from: bytes) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = {
        "users": log.users.astype(np.int32),
        "items": log.items.astype(np.int32),
        "times": log.times,
    }
    tables = {name: {"token": pa.array(getattr(log, f"{name[:-1]}_tokens"), pa.string())}
              for name in ("users", "items")}  # fmt: skip
    for name, columns in (tables | {"rows": rows}).items():
        table = pa.table(columns).replace_schema_metadata({_KEY: made_from})
        with replacing(folder / f"{name}.parquet") as file:
            pq.write_table(table, file, compression="zstd", use_dictionary=False)


def _read(folder: Path, made_from: bytes) -> Interactions | None:
    """The cache, None where it is not there, not whole, or of another version of the file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = {}
    for name in ("users", "items", "rows"):
        try:
            tables[name] = pq.read_table(folder / f"{name}.parquet")
        except (FileNotFoundError, pa.ArrowInvalid):
            return None
        if (tables[name].schema.metadata or {}).get(_KEY) != made_from:
            return None
    rows = tables["rows"]
    return Interactions(
        users=rows["users"].to_numpy().astype(np.int64),
        items=rows["items"].to_numpy().astype(np.int64),
        times=rows["times"].to_numpy(),
        user_tokens=np.array(tables["users"]["token"].to_pylist(), dtype=object),
        item_tokens=np.array(tables["items"]["token"].to_pylist(), dtype=object),
    )
