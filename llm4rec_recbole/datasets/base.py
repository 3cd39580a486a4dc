"""The interactions of a raw file as numbers, 20 bytes each, however long their ids are."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

import numpy as np

from llm4rec_recbole.data.atomic_rows import MISSING
from llm4rec_recbole.data.timestamps import END_OF_TIME, MILLISECONDS
from llm4rec_recbole.datasets.row_report import Tally

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


_NUMBER = re.compile(r"[\x21-\x5e\x60-\x7e ]+")  # ASCII, no "_": as Arrow reads numbers
# What RecBole's pandas reads as missing: an item of that name would vanish.
_MISSING = {"", *(word.decode() for word in MISSING)}

BAD_ID = "an id is missing or unusable"  # in JSON also one that is no text


@dataclass(frozen=True)
class RawLog:
    """Parallel arrays, one entry per interaction, in the order of the raw file.

    `user_tokens[users[i]]` is interaction i's user id as the file has it; items alike.
    """

    users: np.ndarray  # (N,) int32, from 0
    items: np.ndarray  # (N,) int32, from 0
    times: np.ndarray  # (N,) float64, seconds, or the position in the user's sequence
    ratings: np.ndarray | None  # (N,) float32, where the source has ratings
    user_tokens: np.ndarray  # (n_users,) str
    item_tokens: np.ndarray  # (n_items,) str

    def __len__(self) -> int:
        return len(self.users)

    def rows(self, kept: np.ndarray) -> RawLog:
        """The interactions in the mask `kept` (N,); tokens keep their numbers."""
        ratings = None if self.ratings is None else self.ratings[kept]
        return RawLog(
            self.users[kept],
            self.items[kept],
            self.times[kept],
            ratings,
            self.user_tokens,
            self.item_tokens,
        )


@dataclass(frozen=True)
class Events:
    """A table (parquet) of what users did beside the interactions, and which rows of it are kept.

    `belongs_to` says: "row" i to interaction i, and goes with it; a "pair" to the interactions of
    its user with its item, an "item" to those with its item, and goes when there are none.
    """

    path: Path
    belongs_to: Literal["row", "pair", "item"]


@dataclass
class RawData:
    """What a reader makes of a data set's raw files.

    `items` and `users` have a row for each item or user that the files describe, known by
    `item_id` or `user_id`. What users wrote of items lies in tables of its own (data/events.py),
    because a held-out rating could leak through it.
    """

    log: RawLog
    tallies: dict[str, Tally]  # by role, the log's first
    items: pd.DataFrame | None = None
    users: pd.DataFrame | None = None
    events: dict[str, Events] = field(default_factory=dict)  # by role


class LogBuilder:
    """Collects interactions one at a time and numbers their ids in order of first appearance."""

    def __init__(self) -> None:
        self._user_numbers: dict[str, int] = {}
        self._item_numbers: dict[str, int] = {}
        self._users, self._items = array("i"), array("i")
        self._times, self._ratings = array("d"), array("f")

    def add(self, user: str, item: str, time: float, rating: float | None = None) -> None:
        """Append one interaction; either all have a rating or none has."""
        self._users.append(self._user_numbers.setdefault(user, len(self._user_numbers)))
        self._items.append(self._item_numbers.setdefault(item, len(self._item_numbers)))
        self._times.append(time)
        if rating is not None:
            self._ratings.append(rating)

    def build(self) -> RawLog:
        """The interactions added so far."""
        return RawLog(
            users=np.array(self._users, dtype=np.int32),
            items=np.array(self._items, dtype=np.int32),
            times=np.array(self._times, dtype=np.float64),
            ratings=np.array(self._ratings, dtype=np.float32) if self._ratings else None,
            user_tokens=np.array(list(self._user_numbers), dtype=object),
            item_tokens=np.array(list(self._item_numbers), dtype=object),
        )


def is_id(value: Any) -> TypeGuard[str]:
    """Whether `value` can be the id of a user or an item in an atomic file."""
    return (
        isinstance(value, str)
        and value not in _MISSING
        and value.isprintable()
        and " " not in value
    )


def number_of(value: Any) -> float | None:
    """`value` as a number, None where it is none; "1_0" and digits of other scripts are none."""
    if isinstance(value, bool) or (isinstance(value, str) and not _NUMBER.fullmatch(value)):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def seconds(value: Any) -> float | None:
    """A Unix time in seconds from one in seconds or milliseconds, None where it is no such time.

    What comes out is before the year 2100.
    """
    time = number_of(value)
    if time is None:
        return None
    time = time / 1000 if time >= MILLISECONDS else time
    return time if 0 <= time < END_OF_TIME else None


# What users wrote of items: reviews with their helpfulness, tags. One row for each.
#
#     reviews.parquet    user_id item_id timestamp summary text helpful votes
#     tags.parquet       user_id item_id timestamp tag
#     tips.parquet       user_id item_id timestamp text
#     checkins.parquet   user_id (none) item_id timestamp
#
# A review of a held-out item tells what is to be predicted. So these tables stand beside the atomic
# files, and nothing of them reaches `items.parquet`; `training_events` gives the rows that belong
# to
# training interactions, once the data is split.


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
    the `temporal` protocol's validation cut, later events are left out too: a tag may be given
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
