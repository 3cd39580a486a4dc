"""What users wrote of items: reviews with their helpfulness, tags. One row for each.

    reviews.parquet    user_id item_id timestamp summary text helpful votes
    tags.parquet       user_id item_id timestamp tag
    tips.parquet       user_id item_id timestamp text
    checkins.parquet   user_id (none) item_id timestamp

A review of a held-out item tells what is to be predicted. So these tables stand beside the atomic
files, and nothing of them reaches `items.parquet`; `training_events` gives the rows that belong to
training interactions, once the data is split.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4rec_recbole.data.raw_log import Events, RawLog

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_BATCH = 10_000  # rows


class EventWriter:
    """Writes events to a parquet file, some rows at a time, however many there are.

    `columns` maps the names of what an event holds, beside user, item and time, to Arrow types. The
    user may be None: it is not told who checked in.
    """

    def __init__(self, path: Path, columns: dict[str, str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = {"user_id": "string", "item_id": "string", "timestamp": "float64", **columns}
        fields = [pa.field(name, pa.type_for_alias(kind)) for name, kind in kinds.items()]
        self._schema = pa.schema(fields)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def add(self, user: str | None, item: str, time: float, **values: Any) -> None:
        """Append one event; a value may be None."""
        self._rows.append({"user_id": user, "item_id": item, "timestamp": time, **values})
        if len(self._rows) == _BATCH:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows = []

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()


def keep_events(events: Events, kept: np.ndarray, log: RawLog, out: Path) -> int:
    """Copy the events that belong to a kept interaction to `out`; return how many do not.

    kept: mask of the raw log's interactions; log: those that are kept.
    """
    seen = 0

    def of_rows(batch: pa.RecordBatch) -> np.ndarray:
        nonlocal seen
        seen += len(batch)
        return kept[seen - len(batch) : seen]

    if events.belongs_to == "row":
        return _copy(events.path, of_rows, out)
    if events.belongs_to == "item":
        items = np.unique(log.items)
        return _copy(events.path, lambda rows: np.isin(_items(rows, log), items), out)
    pairs = np.unique(log.users.astype(np.int64) * len(log.item_tokens) + log.items)
    return _copy(events.path, lambda rows: np.isin(_pairs(rows, log), pairs), out)


def training_events(
    table: str | Path,
    users: np.ndarray,
    items: np.ndarray,
    before: float | None = None,
) -> pd.DataFrame:
    """The events of the training interactions: what may be known of items when a model trains.

    users, items: (N,) raw ids of the training interactions, as in the atomic files. With `before`,
    the `timeline` protocol's validation cut, later events are left out too: a tag may be given
    long after the rating that trains.
    """
    import pandas as pd

    pairs = pd.MultiIndex.from_arrays([np.asarray(users, str), np.asarray(items, str)])
    events = pd.read_parquet(table)
    known = pd.MultiIndex.from_frame(events[["user_id", "item_id"]]).isin(pairs)
    if before is not None:
        known &= (events["timestamp"] < before).to_numpy()
    return events[known].reset_index(drop=True)


def _items(batch: pa.RecordBatch, log: RawLog) -> np.ndarray:
    return _numbers(batch["item_id"], log.item_tokens)


def _pairs(batch: pa.RecordBatch, log: RawLog) -> np.ndarray:
    """Each row's pair as one number, -1 where the log lacks its user or its item."""
    users, items = _numbers(batch["user_id"], log.user_tokens), _items(batch, log)
    return np.where((users < 0) | (items < 0), -1, users * len(log.item_tokens) + items)


def _numbers(column: pa.Array, tokens: np.ndarray) -> np.ndarray:
    """The place of each string in `tokens`, -1 where it is not among them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.index_in(column, pa.array(tokens, pa.string()))
    return pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def _copy(table: Path, choose: Any, out: Path) -> int:
    """Copy the rows that `choose(batch)` marks, atomically; return how many it does not."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from llm4rec_recbole.files import replacing

    left = 0
    source = pq.ParquetFile(table)
    with (
        replacing(out) as file,
        pq.ParquetWriter(file, source.schema_arrow, compression="zstd") as writer,
    ):
        for batch in source.iter_batches():
            chosen = choose(batch)
            left += int((~chosen).sum())
            writer.write_batch(batch.filter(pa.array(chosen)))
    return left
