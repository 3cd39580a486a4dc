"""Write RecBole's atomic files: a header of `name:type` fields, then one row a line, with tabs."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4rec_recbole.datasets.base import RawData, RawLog, keep_events
from llm4rec_recbole.datasets.filters import keep
from llm4rec_recbole.datasets.replace_files import scratch_folder, swap
from llm4rec_recbole.datasets.row_report import Tally
from llm4rec_recbole.datasets.spec import ROLES, Source, raw_files
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import replacing, sha256_of, write_json

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


_BLOCK = 1 << 20  # rows
#: Column of the content tables → its type in the atomic file.
_TYPES = {"item_id": "token", "user_id": "token", "title": "token_seq", "year": "token"}
_TYPES |= {"categories": "token_seq", "description": "token_seq", "price": "float"}
_TYPES |= {"age": "token", "gender": "token", "occupation": "token"}
_TYPES |= {"since": "token", "elite": "token"}


def write_inter(path: str | Path, log: RawLog) -> None:
    """Write the interactions as `<dataset>.inter`, atomically: user, item, rating if any, time.

    Times are whole numbers where all are, else they have three decimals.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    rating = "" if log.ratings is None else "rating:float\t"
    header = f"user_id:token\titem_id:token\t{rating}timestamp:float\n"
    user_tokens, item_tokens = (
        pa.array(tokens, pa.string()) for tokens in (log.user_tokens, log.item_tokens)
    )
    whole = bool((log.times == np.floor(log.times)).all())
    with replacing(path) as file:
        file.write(header.encode())
        for start in range(0, len(log), _BLOCK):
            rows = slice(start, start + _BLOCK)
            columns = [user_tokens.take(log.users[rows]), item_tokens.take(log.items[rows])]
            if log.ratings is not None:
                columns.append(pa.array(log.ratings[rows]).cast(pa.string()))
            columns.append(_times(log.times[rows], whole))
            ends = pa.array(["\n"], pa.string()).take(np.zeros(len(columns[0]), np.int8))
            joined = pc.binary_join_element_wise(*columns, "\t")
            lines = pc.binary_join_element_wise(joined, ends, "")
            file.write(_text(lines))


def _times(times: np.ndarray, whole: bool) -> pa.StringArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if whole:
        return pa.array(times.astype(np.int64)).cast(pa.string())
    thousandths = np.rint(times * 1000).astype(np.int64)
    seconds = pa.array(thousandths // 1000).cast(pa.string())
    rest = pa.array(thousandths % 1000).cast(pa.string())
    return pc.binary_join_element_wise(seconds, pc.ascii_lpad(rest, 3, padding="0"), ".")


def _text(lines: pa.StringArray) -> bytes:
    """The strings one after another: an Arrow array of strings holds them that way."""
    offsets = np.frombuffer(lines.buffers()[1], dtype=np.int32)
    first, last = offsets[lines.offset], offsets[lines.offset + len(lines)]
    return lines.buffers()[2][int(first) : int(last)].to_pybytes()


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write items or users as an atomic file; what is missing (None, NaN, []) is an empty cell.

    In lists the words of an entry are joined by `_`: RecBole parts them at spaces. Words that begin
    with a quote get a space in front, which RecBole drops: to its own reader a quote at a cell's
    beginning guards all up to the next one, line ends included.
    """
    types = [_TYPES[name] for name in table.columns]
    header = "\t".join(f"{name}:{kind}" for name, kind in zip(table.columns, types))
    with replacing(path) as file:
        file.write(f"{header}\n".encode())
        for row in table.itertuples(index=False, name=None):
            cells = [
                f" {text}" if kind == "token_seq" and text.startswith('"') else text
                for kind, text in zip(types, map(cell, row))
            ]
            file.write(("\t".join(cells) + "\n").encode())


def cell(value: Any) -> str:
    """`value` as one cell: on one line, without control characters, "" where there is none."""
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, str):
        return _one_line(value)
    if isinstance(value, Iterable):
        return " ".join("_".join(_one_line(str(entry)).split()) for entry in value)
    return str(value)


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    return words if words.isprintable() else "".join(c for c in words if c.isprintable())


# From the raw files of a data set to RecBole's atomic files: what `prepare --raw` does.
#
#     raw folder ─▶ reader of the format ─▶ filters ─▶ <dataset>.inter, .item, .user
#                                                     reviews.parquet, tags.parquet, …
#                                                     raw.json: what became of every row
#
# A reader is a module with `read(files, source, scratch) -> RawData`.


#: Format in a property file = the module of llm4rec_recbole.data that reads it.
FORMATS = [name for name in ROLES if name != "atomic"]
EVENTS = ("reviews", "tags", "tips", "checkins")  # roles whose rows become <role>.parquet


def convert(source: Source, raw: str | Path, out: str | Path) -> list[Tally]:
    """Write the atomic files of the raw files in `raw` into the folder `out`; return the counts.

    Raises InputError for a raw file that is missing or broken, and when nothing is left; then, and
    when the disk is full, the files of an earlier version stay as they were.
    """
    if source.format not in FORMATS:
        hint = f"there are {', '.join(FORMATS)}"
        raise InputError(f"{source.dataset}: no format {source.format!r}", hint=hint)
    reader = importlib.import_module(f"llm4rec_recbole.datasets.readers.{source.format}")
    out, raw = Path(out), Path(raw)
    files = raw_files(source, raw)
    with scratch_folder(out) as scratch:
        data: RawData = reader.read(files, source, scratch)
        for tally in data.tallies.values():
            tally.raw = raw
        log_tally = next(iter(data.tallies.values()))
        none = np.zeros(0, dtype=bool)
        kept = keep(data.log, source.keep, log_tally) if len(data.log) else none
        log = data.log.rows(kept)
        if not len(log):
            raise InputError(f"no interaction is left: {log_tally}", file=log_tally.file)
        new = scratch / "new"
        _write_content(source, data, log, new)
        _write_events(data, kept, log, new)
        write_json(new / "raw.json", _report(source, raw, files, data.tallies))
        write_inter(new / f"{source.dataset}.inter", log)
        gone = _of_earlier_versions(source, out) - {path.name for path in new.iterdir()}
        swap(new, out, f"{source.dataset}.inter", gone)
    return list(data.tallies.values())


def _write_content(source: Source, data: RawData, log: RawLog, out: Path) -> None:
    for suffix, role, table, ids, tokens in (
        ("item", "items", data.items, log.items, log.item_tokens),
        ("user", "users", data.users, log.users, log.user_tokens),
    ):
        if table is not None:
            those = _those(table, tokens[np.unique(ids)], data.tallies.get(role))
            write_table(out / f"{source.dataset}.{suffix}", those)


def _of_earlier_versions(source: Source, out: Path) -> set[str]:
    """The names of what an earlier run of this may have written, and of no other file."""
    names = {f"{source.dataset}.{suffix}" for suffix in ("item", "user")}
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # no report of ours
        roles = json.loads((out / "raw.json").read_bytes())["rows"].keys()
        names |= {f"{role}.parquet" for role in EVENTS if role in roles}
    return names


def _write_events(data: RawData, kept: np.ndarray, log: RawLog, out: Path) -> None:
    for role, events in data.events.items():
        left = keep_events(events, kept, log, out / f"{role}.parquet")
        if events.belongs_to != "row":
            reason = f"its {events.belongs_to} has no kept interaction"
            data.tallies[role].drop(reason, count=left)


def _those(table: pd.DataFrame, tokens: np.ndarray, tally: Tally | None) -> pd.DataFrame:
    """The rows of the items or users `tokens`, those that have an interaction; blank ones last.

    RecBole would recommend all other items, and drop the interactions of an item without a row.
    """
    ids = table.iloc[:, 0]
    known = ids[ids.isin(set(tokens))]
    described = set(known)
    blank = [token for token in tokens if token not in described]
    if tally is not None:
        tally.drop("no interaction is kept", count=len(ids) - len(known))
        tally.blank = len(blank)
    return table.set_index(ids.name).reindex([*known, *blank]).reset_index()


def _report(
    source: Source, raw: Path, files: dict[str, Path], tallies: dict[str, Tally]
) -> dict[str, Any]:
    return {
        "dataset": source.dataset,
        "format": source.format,
        "keep": source.keep,
        "files": {
            role: {"name": path.relative_to(raw).as_posix(), "sha256": sha256_of(path)}
            for role, path in files.items()
        },
        "rows": {role: tally.as_json() for role, tally in tallies.items()},
    }
