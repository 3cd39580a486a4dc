"""What users wrote about items: reviews with their helpfulness, tags, tips, check-ins.

    reviews.parquet    user_id item_id timestamp summary text helpful votes
    tags.parquet       user_id item_id timestamp tag
    tips.parquet       user_id item_id timestamp text
    checkins.parquet   user_id (none) item_id timestamp

A review of a held-out item reveals the interaction that a model has to predict. So these tables
stand beside the atomic files, and `items.parquet` has nothing of them. After the split,
`training_events` selects the rows of training interactions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4rec_recbole.datasets.base import Events, RawLog
from llm4rec_recbole.files import replacing

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: Roles whose rows become <role>.parquet.
EVENTS = ("reviews", "tags", "tips", "checkins")
_BATCH = 10_000  # rows


class EventWriter:
    """Writes events to a parquet file in batches, so memory does not depend on their number.

    columns: name → Arrow type, beside user, item and time. The user is None for check-ins, which
    are anonymous.
    """

    def __init__(self, path: Path, columns: dict[str, str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = {"user_id": "string", "item_id": "string", "timestamp": "float64", **columns}
        fields = [pa.field(name, pa.type_for_alias(kind)) for name, kind in types.items()]
        self._schema = pa.schema(fields)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def add(self, user: str | None, item: str, time: float, **values: Any) -> None:
        """Append one event. A value may be None."""
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


def copy_used_events(events: Events, row_mask: np.ndarray, log: RawLog, out: Path) -> int:
    """Copy the events of used interactions to `out`. Return how many others there are.

    row_mask: (N,) the used interactions of the raw log; log: these interactions.
    """
    start = 0

    def next_rows(batch: pa.RecordBatch) -> np.ndarray:
        nonlocal start
        start += len(batch)
        return row_mask[start - len(batch) : start]

    if events.belongs_to == "row":
        return _copy(events.path, next_rows, out)
    if events.belongs_to == "item":
        items = np.unique(log.items)
        return _copy(events.path, lambda batch: np.isin(_items(batch, log), items), out)
    pairs = np.unique(log.users.astype(np.int64) * len(log.item_tokens) + log.items)
    return _copy(events.path, lambda batch: np.isin(_pairs(batch, log), pairs), out)


def training_events(
    table: str | Path, users: np.ndarray, items: np.ndarray, before: float | None = None
) -> pd.DataFrame:
    """The events of the training interactions: what a model may read about the items.

    users, items: (N,) raw ids of the training interactions, as in the atomic files. before: the
    validation cut of the protocol `temporal`. Later events are dropped then: a user may tag an item
    long after the rating that trains.
    """
    import pandas as pd

    pairs = pd.MultiIndex.from_arrays([np.asarray(users, str), np.asarray(items, str)])
    events = pd.read_parquet(table)
    row_mask = pd.MultiIndex.from_frame(events[["user_id", "item_id"]]).isin(pairs)
    if before is not None:
        row_mask &= (events["timestamp"] < before).to_numpy()
    return events[row_mask].reset_index(drop=True)


def _items(batch: pa.RecordBatch, log: RawLog) -> np.ndarray:
    return _index_in(batch["item_id"], log.item_tokens)


def _pairs(batch: pa.RecordBatch, log: RawLog) -> np.ndarray:
    """Each row's (user, item) as one number, -1 if the log lacks the user or the item."""
    users, items = _index_in(batch["user_id"], log.user_tokens), _items(batch, log)
    return np.where((users < 0) | (items < 0), -1, users * len(log.item_tokens) + items)


def _index_in(column: pa.Array, tokens: np.ndarray) -> np.ndarray:
    """The index of each string in `tokens`, -1 if it is not there."""
    import pyarrow as pa
    import pyarrow.compute as pc

    index = pc.index_in(column, pa.array(tokens, pa.string()))
    return pc.fill_null(index, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def _copy(table: Path, select: Callable[[pa.RecordBatch], np.ndarray], out: Path) -> int:
    """Copy the rows that `select(batch)` marks, atomically. Return the number of the others."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    n_dropped = 0
    source = pq.ParquetFile(table)
    with (
        replacing(out) as file,
        pq.ParquetWriter(file, source.schema_arrow, compression="zstd") as writer,
    ):
        for batch in source.iter_batches():
            row_mask = select(batch)
            n_dropped += int((~row_mask).sum())
            writer.write_batch(batch.filter(pa.array(row_mask)))
    return n_dropped
