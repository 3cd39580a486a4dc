"""From raw files to RecBole's atomic files: what `llm4rec prepare` does first.

    raw folder ─▶ reader of the format ─▶ filters ─▶ <dataset>.inter, .item, .user
                                                     reviews.parquet, tags.parquet, …
                                                     raw.json: what became of every row

A reader is a function `read(files, staging) -> RawData` in datasets/readers. An atomic file has a
header of `name:type` fields, then one row a line, with tabs between the columns.
"""

from __future__ import annotations

import importlib
import operator
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4rec_recbole.data import atomic_format, table_cache
from llm4rec_recbole.data.atomic_format import DEFAULT_FORMAT, count_in_order
from llm4rec_recbole.data.exact_order import is_ascending, repeats, stable_order
from llm4rec_recbole.datasets.base import RawData, RawLog, RowReport
from llm4rec_recbole.datasets.events import EVENTS, copy_used_events
from llm4rec_recbole.datasets.readers.json_lines import read_json_object
from llm4rec_recbole.datasets.spec import DatasetSpec, Filters, raw_files
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import (
    replace_dataset_files,
    replacing,
    sha256_of,
    staging_dir,
    write_json,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


#: Format → module of datasets/readers and its function.
_READERS = {"movielens_dat": "movielens:read_dat", "movielens_csv": "movielens:read_csv"}
_READERS |= {"amazon_2014": "reviews:read_amazon_2014", "amazon_2023": "reviews:read_amazon_2023"}
_READERS |= {"yelp": "reviews:read_yelp", "sequences": "sequences:read"}
_COMPARE = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}
_BLOCK = 1 << 17  # rows; the text of a block stays in the processor's cache
#: Column of the tables of items and users → its type in the atomic file.
_TYPES = {"item_id": "token", "user_id": "token", "title": "token_seq", "year": "token"}
_TYPES |= {"categories": "token_seq", "description": "token_seq", "price": "float"}
_TYPES |= {"age": "token", "gender": "token", "occupation": "token"}
_TYPES |= {"since": "token", "elite": "token", "city": "token", "state": "token"}


def convert(spec: DatasetSpec, raw: str | Path, out: str | Path) -> list[RowReport]:
    """Write the atomic files of the raw files in `raw` to the folder `out`. Return the row reports.

    Raises InputError for a missing or broken raw file, and if no interaction remains. Then, and
    when the disk is full, the files of an earlier version stay as they were.
    """
    if spec.format == "atomic":
        raise InputError(f"{spec.dataset} has RecBole's own format: there is nothing to convert")
    module, _, function = _READERS[spec.format].partition(":")
    reader = importlib.import_module(f"llm4rec_recbole.datasets.readers.{module}")
    out, raw = Path(out), Path(raw)
    files = raw_files(spec, raw)
    with staging_dir(out) as staging:
        data: RawData = getattr(reader, function)(files, staging)
        for row_report in data.row_reports.values():
            row_report.root = raw
        log_report = next(iter(data.row_reports.values()))
        row_mask = np.zeros(0, dtype=bool)
        if len(data.log):
            row_mask = filter_rows(data.log, spec.filters, log_report)
        log = data.log.select(row_mask)
        if not len(log):
            raise InputError(f"no interaction is left: {log_report}", file=log_report.file)
        row = atomic_format.first_unit_change(log.times) if spec.timestamps == "seconds" else None
        if row is not None:
            units = [atomic_format.unit_of(log.times[at]) for at in (row, 0)]
            message = f"the time {log.times[row]:.0f} is in {units[0]}, others are in {units[1]}"
            raise InputError(message, file=log_report.file, hint="write all times in one unit")
        new = staging / "new"
        _write_content(spec, data, log, new)
        for role, events in data.events.items():
            n_dropped = copy_used_events(events, row_mask, log, new / f"{role}.parquet")
            if events.belongs_to != "row":
                reason = f"its {events.belongs_to} has no interaction that is used"
                data.row_reports[role].drop(reason, count=n_dropped)
        write_json(new / "raw.json", _report(spec, raw, files, data.row_reports))
        inter = f"{spec.dataset}.inter"
        write_inter(new / inter, log)
        stale_files = _earlier_files(spec, out) - {path.name for path in new.iterdir()}
        replace_dataset_files(new, out, inter, stale_files)
        table_cache.write(
            out / inter, DEFAULT_FORMAT, table_cache.state_of(out / inter), table(log)
        )
    return list(data.row_reports.values())


def _write_content(spec: DatasetSpec, data: RawData, log: RawLog, out: Path) -> None:
    for suffix, role, table, ids, tokens in (
        ("item", "items", data.items, log.items, log.item_tokens),
        ("user", "users", data.users, log.users, log.user_tokens),
    ):
        if table is not None:
            row_report = data.row_reports.get(role)
            used = np.zeros(len(tokens), dtype=bool)
            used[ids] = True
            rows = _rows_with_interactions(table, tokens[used], row_report)
            write_table(out / f"{spec.dataset}.{suffix}", rows)


def _rows_with_interactions(
    table: pd.DataFrame, tokens: np.ndarray, row_report: RowReport | None
) -> pd.DataFrame:
    """The rows of the items or users `tokens`, then a blank row for each one without a row.

    RecBole would recommend items without interactions, and drop the interactions of an item without
    a row.
    """
    ids = table.iloc[:, 0]
    described = table[ids.isin(set(tokens))]
    names = dict.fromkeys(described.iloc[:, 0])
    blank = [token for token in tokens if token not in names]
    if row_report is not None:
        row_report.drop("no interaction remains", count=len(table) - len(described))
        row_report.blank = len(blank)
    if not blank:
        return described
    return described.set_index(ids.name).reindex([*names, *blank]).reset_index()


def _earlier_files(spec: DatasetSpec, out: Path) -> set[str]:
    """Names of the files that an earlier run may have written, and of no other file."""
    names = {f"{spec.dataset}.{suffix}" for suffix in ("item", "user")}
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # not our report
        roles = read_json_object(out / "raw.json")["rows"].keys()
        names |= {f"{role}.parquet" for role in EVENTS if role in roles}
    return names


def _report(
    spec: DatasetSpec, raw: Path, files: dict[str, Path], row_reports: dict[str, RowReport]
) -> dict[str, Any]:
    return {
        "dataset": spec.dataset,
        "format": spec.format,
        "filters": spec.filters.model_dump(exclude_none=True),
        "files": {
            role: {"name": path.relative_to(raw).as_posix(), "sha256": sha256_of(path)}
            for role, path in files.items()
        },
        "rows": {role: row_report.as_json() for role, row_report in row_reports.items()},
    }


def filter_rows(log: RawLog, filters: Filters, row_report: RowReport) -> np.ndarray:
    """Mask (N,) bool of the interactions that are used. `row_report` counts the others.

    Three steps, in this order: drop repetitions of user, item and time (the first one remains);
    drop ratings that do not meet `filters.rating`; keep the largest `filters.core`-core.
    Raises InputError for a rating filter on data without ratings.
    """
    row_mask = ~_repeated(log)
    row_report.drop("same user, item and time again", count=int((~row_mask).sum()))
    if filters.rating is not None:
        if log.ratings is None:
            message = f"cannot filter by rating {filters.rating!r}: the data has no ratings"
            raise InputError(message, file=row_report.file)
        match = re.match(r"([<>]=?) ?(.+)", filters.rating)
        assert match is not None, filters.rating  # the pattern of Filters.rating
        meets = _COMPARE[match[1]](log.ratings, float(match[2]))
        dropped = int((row_mask & ~meets).sum())
        row_report.drop(f"rating is not {filters.rating}", count=dropped)
        row_mask &= meets
    if filters.core is not None:
        in_core = core(log.users, log.items, filters.core, row_mask)
        reason = f"its user or item has fewer than {filters.core} interactions"
        row_report.drop(reason, count=int((row_mask & ~in_core).sum()))
        row_mask = in_core
    return row_mask


def core(users: np.ndarray, items: np.ndarray, minimum: int, row_mask: np.ndarray) -> np.ndarray:
    """The largest subset of `row_mask` (N,) in which each user and item has `minimum` rows."""
    row_mask = row_mask.copy()
    while True:
        enough = np.ones_like(row_mask)
        for ids in (users, items):
            counts = np.bincount(ids[row_mask], minlength=int(ids.max(initial=0)) + 1)
            enough &= counts[ids] >= minimum
        if (enough | ~row_mask).all():
            return row_mask
        row_mask &= enough


def _repeated(log: RawLog) -> np.ndarray:
    """Mask (N,) of the interactions that repeat the user, item and time of an earlier one."""
    import pandas as pd

    repeated = np.zeros(len(log), dtype=bool)
    order = None if is_ascending(log.users) else stable_order(log.users)
    users, items = (ids if order is None else ids[order] for ids in (log.users, log.items))
    positions = np.unique(np.concatenate(repeats(users, items)))  # of pairs that occur twice
    rows = positions if order is None else np.sort(order[positions])
    columns = {"user": log.users, "item": log.items, "time": log.times}
    repeated[rows] = pd.DataFrame({name: ids[rows] for name, ids in columns.items()}).duplicated()
    return repeated


def write_inter(path: str | Path, log: RawLog) -> None:
    """Write the interactions as `<dataset>.inter`, atomically: user, item, rating if any, time.

    Times are whole numbers if all of them are. Otherwise they have three decimals.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    rating = "" if log.ratings is None else "rating:float\t"
    users, items = (pa.array(names, pa.string()) for names in (log.user_tokens, log.item_tokens))
    users = pc.binary_join_element_wise("\n", users, "")  # a line's end stands before the next line
    are_whole = _are_whole(log.times)
    with replacing(path) as file:
        file.write(f"user_id:token\titem_id:token\t{rating}timestamp:float".encode())
        for start in range(0, len(log), _BLOCK):
            rows = slice(start, start + _BLOCK)
            columns = [users.take(log.users[rows]), items.take(log.items[rows])]
            if log.ratings is not None:
                stars = pa.array(log.ratings[rows]).dictionary_encode()
                columns.append(stars.dictionary.cast(pa.string()).take(stars.indices))
            columns.append(_times(log.times[rows], are_whole))
            lines = pc.binary_join_element_wise(*columns, "\t")
            file.write(lines.buffers()[2])  # the text of all lines, one after the other
        file.write(b"\n")


def table(log: RawLog) -> tuple[dict[str, str], pa.Table]:
    """What reading the file of `write_inter` gives: each column's type, and the columns.

    It goes to the cache, so that the file is not read again.
    """
    import pyarrow as pa

    def tokens(ids: np.ndarray, names: np.ndarray) -> pa.DictionaryArray:
        if (count := count_in_order(ids)) is not None:
            return pa.DictionaryArray.from_arrays(
                pa.array(ids), pa.array(names[:count], pa.string())
            )
        numbered = pa.array(ids).dictionary_encode()  # in the order of first rows
        cells = pa.array(names, pa.string()).take(numbered.dictionary)
        return pa.DictionaryArray.from_arrays(numbered.indices, cells)

    columns = {"user_id": tokens(log.users, log.user_tokens)}
    columns["item_id"] = tokens(log.items, log.item_tokens)
    if log.ratings is not None:
        stars = pa.array(log.ratings).dictionary_encode()
        written = stars.dictionary.cast(pa.string()).cast(pa.float64())
        columns["rating"] = written.take(stars.indices)
    times = log.times if _are_whole(log.times) else np.rint(log.times * 1000) / 1000
    columns["timestamp"] = pa.array(times)  # as in the file
    types = dict.fromkeys(columns, "float") | {"user_id": "token", "item_id": "token"}
    return types, pa.table(columns)


def _are_whole(times: np.ndarray) -> bool:
    blocks = (times[start : start + _BLOCK] for start in range(0, len(times), _BLOCK))
    return all((block == np.floor(block)).all() for block in blocks)


def _times(times: np.ndarray, are_whole: bool) -> pa.StringArray:
    """Each time (N,) as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if are_whole:
        return pa.array(times.astype(np.int64)).cast(pa.string())
    thousandths = np.rint(times * 1000).astype(np.int64)
    seconds = pa.array(thousandths // 1000).cast(pa.string())
    digits = pa.array(thousandths % 1000).cast(pa.string())
    return pc.binary_join_element_wise(seconds, pc.ascii_lpad(digits, 3, padding="0"), ".")


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write items or users as an atomic file. A missing value (None, NaN, []) is an empty cell.

    In lists the words of an entry are joined by `_`, because RecBole splits at spaces. A text that
    begins with a quote gets a space in front, which RecBole drops. Its own reader would treat the
    text up to the next quote, line ends included, as one cell.
    """
    types = [_TYPES[name] for name in table.columns]
    header = "\t".join(f"{name}:{kind}" for name, kind in zip(table.columns, types))
    with replacing(path) as file:
        file.write(f"{header}\n".encode())
        for row in table.itertuples(index=False, name=None):
            cells = [
                f" {text}" if kind == "token_seq" and text.startswith('"') else text
                for kind, text in zip(types, map(to_cell, row))
            ]
            file.write(("\t".join(cells) + "\n").encode())


def to_cell(value: Any) -> str:
    """`value` as one cell: on one line, without control characters, "" for a missing value."""
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, str):
        return _one_line(value)
    if isinstance(value, Iterable):
        return " ".join(_one_word(str(entry)) for entry in value)
    return str(value)


@lru_cache(1 << 12)
def _one_word(entry: str) -> str:
    return "_".join(_one_line(entry).split())


def _one_line(text: str) -> str:
    if text.isprintable() and "  " not in text and text == text.strip():  # as most are
        return text
    words = " ".join(text.split())
    return words if words.isprintable() else "".join(c for c in words if c.isprintable())
