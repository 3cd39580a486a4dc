"""Parsed atomic files, kept in memory for the run and on disk for the next one.

    <dataset>.inter  ─▶  cache/<dataset>.inter.arrow    one line of JSON: format, state of the file,
                                                        types, checksum of what follows
                                                        the columns, as an Arrow IPC stream

In memory are small files, and `.item`, `.user` files of any size: several parts of a run read them.
On disk are files from 16 MiB on, which take seconds to parse. A copy serves as long as the file has
the size and the time of change that it had when it was read. A damaged copy is made anew; deleting
it loses nothing. Nothing in it can be executed.
"""

from __future__ import annotations

import mmap
import sys
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm4rec_recbole.data.array_file import checksum, header, map_file, read_header
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import replacing

if TYPE_CHECKING:
    import pyarrow as pa

    from llm4rec_recbole.data.atomic_format import AtomicFormat

    Parsed = tuple[dict[str, str], pa.Table]  # each column's type; the columns

LEAST_BYTES = 1 << 24  # the size of a file that is worth a copy on disk
_VERSION = 3
_MOST_IN_MEMORY = 8  # files
_SETTLED = 100_000_000  # ns; a file changed later may change again without a new time of change
_memory: OrderedDict[tuple[Any, ...], Parsed] = OrderedDict()


def state_of(path: Path) -> dict[str, int] | None:
    """The size and the time of change of the file at `path`; None when it is not there."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return {"bytes": stat.st_size, "changed": stat.st_mtime_ns}


def read(path: Path, file_format: AtomicFormat) -> Parsed | None:
    """The table of the file at `path`; None when there is no copy of the file as it is now."""
    state = state_of(path)
    if state is None:
        return None
    if (key := _key(path, file_format, state)) in _memory:
        _memory.move_to_end(key)
        return _memory[key]
    parsed = _read_copy(path, file_format, state)
    if parsed is not None:  # its columns are mapped from the disk and take no memory of their own
        _remember(path, file_format, state, parsed)
    return parsed


def read_types(path: Path, file_format: AtomicFormat) -> dict[str, str] | None:
    """Each column's type, where `read` has a table; None otherwise. Reads no column."""
    state, copy = state_of(path), _path_of_copy(path)
    if state is None:
        return None
    if (key := _key(path, file_format, state)) in _memory:
        return _memory[key][0]
    with suppress(OSError, ValueError, KeyError, InputError):
        about = read_header(copy)
        if _about(file_format, state).items() <= about.items():
            types: dict[str, str] = about["types"]
            return types
    return None


def write(
    path: Path, file_format: AtomicFormat, state: dict[str, int] | None, parsed: Parsed
) -> None:
    """Keep the table of the file at `path`, which was in `state` before it was parsed."""
    if state is None:
        return
    if path.suffix != ".inter" or state["bytes"] < LEAST_BYTES:
        _remember(path, file_format, state, parsed)
    if state["bytes"] >= LEAST_BYTES:
        _write_copy(path, file_format, state, parsed)


def _key(path: Path, file_format: AtomicFormat, state: dict[str, int]) -> tuple[Any, ...]:
    return (path.absolute(), file_format, *state.values())


def _remember(path: Path, file_format: AtomicFormat, state: dict[str, int], parsed: Parsed) -> None:
    if abs(time.time_ns() - state["changed"]) > _SETTLED:
        _memory[_key(path, file_format, state)] = parsed
        while len(_memory) > _MOST_IN_MEMORY:
            _memory.popitem(last=False)


def _path_of_copy(path: Path) -> Path:
    return path.parent / "cache" / f"{path.name}.arrow"


def _about(file_format: AtomicFormat, state: dict[str, int]) -> dict[str, Any]:
    """What must be as it was when the copy was made."""
    return {"version": _VERSION, "format": asdict(file_format), **state}


def _read_copy(path: Path, file_format: AtomicFormat, state: dict[str, int]) -> Parsed | None:
    copy = _path_of_copy(path)
    if not copy.is_file():
        return None
    import pyarrow as pa

    try:
        if not _about(file_format, state).items() <= read_header(copy).items():
            return None
        about, body = map_file(copy)
        return about["types"], pa.ipc.open_stream(pa.py_buffer(body)).read_all()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError) as error:
        print(f"{copy}: the cache is made anew: {error}", file=sys.stderr)
        copy.unlink(missing_ok=True)
        return None


def _write_copy(
    path: Path, file_format: AtomicFormat, state: dict[str, int], parsed: Parsed
) -> None:
    """Write the copy atomically; print one line when that fails."""
    import pyarrow as pa

    types, columns = parsed
    copy = _path_of_copy(path)

    about = _about(file_format, state) | {"types": types}
    try:
        with replacing(copy) as file:
            line = header(about | {"checksum": "0" * 8})
            file.write(line)
            with pa.ipc.new_stream(file, columns.schema) as writer:
                writer.write_table(columns)
            file.flush()
            with memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as content:
                total = checksum(content[len(line) :])
            file.seek(0)
            file.write(header(about | {"checksum": total}))
    except (OSError, InputError) as error:
        reason = getattr(error, "strerror", None) or error
        print(f"{copy}: no cache: {reason}", file=sys.stderr)
