"""The interactions of a large data set in exact order, on the disk, for the next run's start.

    <dataset>.inter  ─▶  cache/<dataset>.inter.order    arrays that the run maps into memory

`llm4rec prepare` writes the file. A run then numbers, sorts and copies nothing: it gives RecBole
the first row of each user and of each item, from which all ids follow, and splits the stored log.
A copy serves as long as the interactions have the size and the time of change that they had when
it was made. A damaged copy is reported in one line and not used; deleting it loses nothing.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4rec_recbole.data import table_cache
from llm4rec_recbole.data.array_file import map_arrays, read_header, write_arrays
from llm4rec_recbole.data.atomic_format import AtomicTable
from llm4rec_recbole.data.splits import Log
from llm4rec_recbole.errors import InputError

if TYPE_CHECKING:
    from llm4rec_recbole.data.atomic_format import AtomicFormat

_VERSION = 1
_AT_ONCE = 1 << 16  # ids; they stay in the processor's cache


@dataclass(frozen=True, eq=False)
class StoredLog:
    """A log, the rows of the file from which its ids follow, and the number of all rows."""

    log: Log
    first_rows: AtomicTable
    n_rows: int

    def with_items(self, n_items: int) -> Log:
        """The log for a catalogue of `n_items`, which may have items without interactions."""
        self.log.item_counts.resize(n_items)
        self.log.n_items = n_items
        return self.log


def path_of(path: Path) -> Path:
    """Where the copy of the interactions at `path` is, if there is one."""
    return path.parent / "cache" / f"{path.name}.order"


def write(
    table: AtomicTable,
    file_format: AtomicFormat,
    state: dict[str, int] | None,
    ids: tuple[np.ndarray, np.ndarray],
    log: Log,
) -> None:
    """Write the log of a file that is worth a copy, atomically; print one line when that fails.

    table: the file's rows. state: its size and time of change before it was read. ids: users and
    items of its rows, (N,) each, numbered from 1 in the order of their first rows.
    """
    if state is None or state["bytes"] < table_cache.LEAST_BYTES or len(table) >= 2**31:
        return
    rows = np.unique(np.concatenate([first_rows(values) for values in ids]))
    narrow = np.iinfo(np.int32)
    fits = log.times.dtype.kind == "i" and narrow.min <= log.times.min() <= log.times.max()
    types = {"rows": np.int32, "items": np.int32, "users": np.int64}
    if fits and log.times.max() <= narrow.max:
        types["times"] = np.int32
    arrays = {
        "rows": log.rows,
        "items": log.items,
        "times": log.times,
        "starts": log.starts,
        "users": log.users,
        "item_counts": log.item_counts,
        "first_rows": np.frombuffer(_to_bytes(table.columns.take(rows)), dtype=np.uint8),
    }
    times = table.columns[file_format.time_field].to_numpy()
    about = _about(file_format, state) | {
        "rows": len(table),
        "types": table.types,
        "time_type": np.dtype(np.int64 if times.dtype.kind == "i" else np.float64).str,
        "counts": log.counts,
    }
    try:
        write_arrays(path_of(table.path), about, arrays, types)
    except (OSError, InputError) as error:
        reason = getattr(error, "strerror", None) or error
        print(f"{path_of(table.path)}: not written: {reason}", file=sys.stderr)


def read(path: Path, file_format: AtomicFormat) -> StoredLog | None:
    """The log of the interactions at `path`; None when there is no copy of them as they are now."""
    copy, state = path_of(path), table_cache.state_of(path)
    if state is None or not copy.is_file():
        return None
    try:
        if not _about(file_format, state).items() <= read_header(copy).items():
            return None
        about, arrays = map_arrays(copy)
        rows = AtomicTable(path, about["types"], _from_bytes(arrays.pop("first_rows")))
        arrays["item_counts"] = arrays["item_counts"].copy()
        n_items = len(arrays["item_counts"])
        log = Log.stored(arrays, np.dtype(about["time_type"]), n_items, about["counts"])
        return StoredLog(log, rows, about["rows"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError) as error:
        message = f"{copy}: the cache is not used: {error}"
        print(f"{message}; `llm4rec prepare` makes it anew", file=sys.stderr)
        return None


def first_rows(ids: np.ndarray) -> np.ndarray:
    """The first row of each id, (ids,) int64. ids: (N,), numbered from 1 in the order of these."""
    highest, rows = 0, []
    for start in range(0, len(ids), _AT_ONCE):
        block = ids[start : start + _AT_ONCE]
        if block.max() > highest:
            largest = np.maximum(np.maximum.accumulate(block), highest)  # so far, at each row
            rows.append(np.flatnonzero(np.diff(largest, prepend=highest)) + start)
            highest = int(largest[-1])
    return np.concatenate(rows)


def _about(file_format: AtomicFormat, state: dict[str, int]) -> dict[str, Any]:
    """What must be as it was when the copy was made."""
    return {"version": _VERSION, "format": asdict(file_format), **state}


def _to_bytes(columns: Any) -> Any:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, columns.schema) as writer:
        writer.write_table(columns.combine_chunks())
    return sink.getvalue()


def _from_bytes(content: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.ipc.open_stream(pa.py_buffer(content)).read_all()
