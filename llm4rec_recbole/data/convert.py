"""From the raw files of a data set to RecBole's atomic files: what `prepare --raw` does.

    raw folder ─▶ reader of the format ─▶ filters ─▶ <dataset>.inter, .item, .user
                                                    reviews.parquet, tags.parquet, …
                                                    raw.json: what became of every row

A reader is a module with `read(files, source, scratch) -> RawData`.
"""

from __future__ import annotations

import importlib
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4rec_recbole.data.events import keep_events
from llm4rec_recbole.data.keep import keep
from llm4rec_recbole.data.raw_log import RawData, RawLog
from llm4rec_recbole.data.source import Source, raw_files
from llm4rec_recbole.data.source_checks import ROLES
from llm4rec_recbole.data.swap import scratch_folder, swap
from llm4rec_recbole.data.tally import Tally
from llm4rec_recbole.data.write_atomic import write_inter, write_table
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import sha256_of, write_json

if TYPE_CHECKING:
    import pandas as pd

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
    reader = importlib.import_module(f"llm4rec_recbole.data.{source.format}")
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
