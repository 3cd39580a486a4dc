"""MovieLens in its two formats: `.dat` files, as in ml-1m, and `.csv` files, as in ml-25m.

`.dat`, in ISO-8859-1, with `::` between the fields and no header:

    ratings   1::1193::5::978300760                    user, movie, rating 1 to 5, seconds
    items     1::Toy Story (1995)::Animation|Comedy    movie, title, genres
    users     1::F::1::10::48067                       user, gender, age band, occupation, zip code

`.csv`, in UTF-8, with a header:

    ratings   userId,movieId,rating,timestamp          rating 0.5 to 5, seconds
    items     movieId,title,genres                     11,"American President, The (1995)",Comedy
    tags      userId,movieId,tag,timestamp             what users wrote about movies

`ratings.csv` of MovieLens-25M has 25 million rows. Arrow parses it in blocks of whole lines. A
block that Arrow refuses is read row by row: each bad row is dropped and counted with its reason.
The genome (learnt from all ratings and tags) and the links are not read: they must not reach an
item's content before the data is split.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole.data.atomic_format import END_OF_TIME, MILLISECONDS
from llm4rec_recbole.data.line_reader import (
    decode,
    find_columns,
    read_blocks,
    read_lines,
    read_rows,
    split_line,
)
from llm4rec_recbole.datasets import base
from llm4rec_recbole.datasets.events import EventWriter
from llm4rec_recbole.errors import InputError

MIN_RATING, MAX_RATING = 0.5, 5.0  # stars
BAD_RATING = "rating is not a number from 0.5 to 5"
BAD_TIME = "time is missing or not a Unix time"
BAD_NUMBER = "an id is missing or not a whole number"
_NO_GENRES = "(no genres listed)"
COLUMNS = ("userId", "movieId", "rating", "timestamp")
_BLOCK_BYTES = 1 << 23
_AT_ONCE = 1 << 16  # ids; they stay in the processor's cache


def add_rating(
    log: base.LogBuilder,
    row_report: base.RowReport,
    line: int,
    row: Iterable[str],
    bad_id: str = base.BAD_ID,
) -> None:
    """Add a row (user, item, rating, time) to the log, or count why it is dropped.

    bad_id: the reason to drop unusable ids; with BAD_NUMBER they must be whole numbers.
    """
    user, item, stars, timestamp = row
    is_id = _is_number if bad_id == BAD_NUMBER else base.is_valid_token
    rating = base.parse_float(stars)
    time: Any = base.parse_unix_time(timestamp)
    checks = {
        bad_id: is_id(user) and is_id(item),
        BAD_RATING: rating is not None and MIN_RATING <= rating <= MAX_RATING,
        BAD_TIME: time is not None,
    }
    if row_report.accepts(line, checks):
        log.add(user, item, time, rating)


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 19


def describe_movie(row: dict[str, str]) -> dict[str, object]:
    """Title and genres of a movie."""
    genres = row.get("genres", "").split("|")
    categories = [genre for genre in genres if genre and genre != _NO_GENRES]
    return {"title": row.get("title"), "categories": categories}


@dataclass(frozen=True)
class _Block:
    """Parallel arrays, one entry per rating."""

    users: np.ndarray  # int32, or int64 where an id needs it
    items: np.ndarray  # int32 or int64
    ratings: np.ndarray  # float32
    times: np.ndarray  # float64, seconds


def read_ratings(path: Path, row_report: base.RowReport) -> base.RawLog:
    """The ratings, in file order.

    Raises InputError, with the line, for a file that is cut short, a missing column and a row with
    a wrong number of cells.
    """
    columns = {name.name: _Column() for name in fields(_Block)}
    for block, share_read in _blocks(path, row_report):
        for name, column in columns.items():
            column.append(getattr(block, name), share_read)
    users, items, ratings, times = (column.values() for column in columns.values())
    if not row_report.read:
        raise InputError("it has no ratings", file=path)
    users, user_tokens = _renumber(users)
    items, item_tokens = _renumber(items)
    return base.RawLog(users, items, times, ratings, user_tokens, item_tokens)


class _Column:
    """An array that grows block by block, with room for as many rows as the file seems to have.

    Joining the blocks at the end would need twice the memory, which the system clears first.
    """

    def __init__(self) -> None:
        self._values, self._n = np.empty(0, dtype=np.bool_), 0

    def append(self, block: np.ndarray, share_read: float) -> None:
        """Add a block (n,). share_read: of the file's bytes; above 1 where it is packed."""
        kind = np.promote_types(self._values.dtype, block.dtype)
        n = self._n + len(block)
        if n > len(self._values) or kind != self._values.dtype:
            larger = np.empty(round(n * max(1.5, 1.02 / share_read)), dtype=kind)
            larger[: self._n] = self._values[: self._n]
            self._values = larger
        self._values[self._n : n] = block
        self._n = n

    def values(self) -> np.ndarray:
        """All blocks, (N,)."""
        return self._values[: self._n]


def _renumber(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`ids` (N,) as int32 from 0, and the token of each number, in ascending order of id.

    Overwrites `ids`, which saves memory that the system would clear first.
    """
    lowest, highest = int(ids.min(initial=0)), int(ids.max(initial=0))
    if highest - lowest > 20 * len(ids) + 1_000_000:  # too sparse for a table of all ids
        tokens, numbers = np.unique(ids, return_inverse=True)
        return numbers.astype(np.int32), tokens.astype(str).astype(object)
    ids -= lowest
    occurs = np.zeros(highest - lowest + 1, dtype=bool)
    occurs[ids] = True
    number = np.cumsum(occurs, dtype=np.int32) - 1
    for start in range(0, len(ids), _AT_ONCE):
        block = ids[start : start + _AT_ONCE]
        block[:] = number[block]
    return ids.astype(np.int32, copy=False), (np.flatnonzero(occurs) + lowest).astype(str).astype(
        object
    )


def _blocks(path: Path, row_report: base.RowReport) -> Iterator[tuple[_Block, float]]:
    """Yield each block of ratings, and the share of the file's bytes that are read by then."""
    header: list[str] = []
    n_read, n_bytes = 0, path.stat().st_size
    for first, block in read_blocks(path, _BLOCK_BYTES):
        n_read += len(block)
        if first == 1:
            top, _, block = block.partition(b"\n")
            header = split_line(path, 1, decode(path, 1, top))
            find_columns(path, header, COLUMNS)
            first = 2
        if block:
            parsed = _parse(block, header)
            if parsed is None:
                good_rows = _row_by_row(path, first, block, header, row_report)
            else:
                good_rows = _checked(parsed, first, row_report)
            yield good_rows, n_read / n_bytes
    if not header:
        raise InputError("the file is empty", file=path)


def _parse(block: bytes, header: list[str]) -> _Block | None:
    """The block as Arrow reads it, or None if a cell has the wrong type or an id is negative."""
    import pyarrow as pa
    from pyarrow import csv

    if b"x" in block or b"X" in block:  # Arrow alone reads 0x1F as a number
        return None

    def read(time: pa.DataType) -> pa.Table:
        types = dict(zip(COLUMNS, (pa.int64(), pa.int64(), pa.float32(), time)))
        return csv.read_csv(
            pa.py_buffer(block),
            csv.ReadOptions(use_threads=False, column_names=header, block_size=max(len(block), 1)),
            csv.ParseOptions(ignore_empty_lines=False),
            csv.ConvertOptions(column_types=types, include_columns=COLUMNS, null_values=[]),
        )

    try:
        table = read(pa.int64())  # faster than floats
    except pa.ArrowInvalid:
        try:
            table = read(pa.float64())
        except pa.ArrowInvalid:
            return None
    users, items, ratings, times = (table[name].to_numpy() for name in COLUMNS)
    if min(users.min(), items.min()) < 0:
        return None
    if max(users.max(), items.max()) < 2**31:
        users, items = users.astype(np.int32), items.astype(np.int32)
    return _Block(users, items, ratings, times)


def _checked(block: _Block, first: int, row_report: base.RowReport) -> _Block:
    """The valid rows of the block, times in seconds. `first` is the line of the first row."""
    times = block.times.astype(np.float64, copy=False)
    row_report.read += len(times)
    good_ratings = block.ratings.min() >= MIN_RATING and block.ratings.max() <= MAX_RATING
    if good_ratings and times.min() >= 0 and times.max() < END_OF_TIME:  # as in every real file
        return _Block(block.users, block.items, block.ratings, times)
    times = np.where(times >= MILLISECONDS, times / 1000, times)
    good_rating = (block.ratings >= MIN_RATING) & (block.ratings <= MAX_RATING)
    good_time = (times >= 0) & (times < END_OF_TIME)
    for reason, bad in ((BAD_RATING, ~good_rating), (BAD_TIME, good_rating & ~good_time)):
        if bad.any():
            row_report.drop(reason, first + int(bad.argmax()), int(bad.sum()))
    good = good_rating & good_time
    return _Block(block.users[good], block.items[good], block.ratings[good], times[good])


def _row_by_row(
    path: Path, first: int, block: bytes, header: list[str], row_report: base.RowReport
) -> _Block:
    columns = find_columns(path, header, COLUMNS)
    log = base.LogBuilder()
    for number, line in enumerate(block.split(b"\n")[:-1], first):
        cells = split_line(path, number, decode(path, number, line), len(header))
        row = [cells[column].strip() for column in columns]
        add_rating(log, row_report, number, row, BAD_NUMBER)
    rows = log.build()
    return _Block(
        rows.user_tokens.astype(np.int64)[rows.users],
        rows.item_tokens.astype(np.int64)[rows.items],
        np.empty(0, np.float32) if rows.ratings is None else rows.ratings,
        rows.times,
    )


def read_dat(files: dict[str, Path], staging: Path) -> base.RawData:
    """Read ratings, and movies and users if the files are there.

    Raises InputError for a line with a wrong number of fields.
    """
    row_report, log = base.RowReport(files["ratings"], "ratings"), base.LogBuilder()
    for line, row in _dat_rows(files["ratings"], ("user", "item", "rating", "time")):
        add_rating(log, row_report, line, row.values())
    data = base.RawData(log.build(), {"ratings": row_report})
    if "items" in files:
        row_report = data.row_reports["items"] = base.RowReport(files["items"], "movies")
        rows = _dat_rows(files["items"], ("movieId", "title", "genres"))
        data.items = base.describe_entities(rows, row_report, "movieId", "item_id", describe_movie)
    if "users" in files:
        row_report = data.row_reports["users"] = base.RowReport(files["users"], "users")
        rows = _dat_rows(files["users"], ("user", "gender", "age", "occupation", "zip"))
        data.users = base.describe_entities(rows, row_report, "user", "user_id", _user)
    return data


def _user(row: dict[str, str]) -> dict[str, str | None]:
    return {name: row.get(name) for name in ("gender", "age", "occupation")}


def _dat_rows(path: Path, names: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in read_lines(path, latin_1=True):
        fields = line.split("::")
        if len(fields) != len(names):
            message = f"{len(fields)} fields, separated by '::', instead of {len(names)}"
            raise InputError(message, file=path, line=number)
        yield number, dict(zip(names, fields))


def read_csv(files: dict[str, Path], staging: Path) -> base.RawData:
    """Read ratings, and movies and tags if the files are there.

    Raises InputError for a row with a wrong number of cells.
    """
    row_report = base.RowReport(files["ratings"], "ratings")
    data = base.RawData(read_ratings(files["ratings"], row_report), {"ratings": row_report})
    if "items" in files:
        row_report = data.row_reports["items"] = base.RowReport(files["items"], "movies")
        columns = ["movieId", "title", "genres"]
        rows = ((n, dict(zip(columns, row))) for n, row in read_rows(files["items"], columns))
        data.items = base.describe_entities(rows, row_report, "movieId", "item_id", describe_movie)
    if "tags" in files:
        row_report = data.row_reports["tags"] = base.RowReport(files["tags"], "tags")
        data.events["tags"] = _tags(files["tags"], row_report, staging / "tags.parquet")
    return data


def _tags(path: Path, row_report: base.RowReport, out: Path) -> base.Events:
    columns = ["userId", "movieId", "tag", "timestamp"]
    with EventWriter(out, {"tag": "string"}) as tags:
        for line, (user, item, tag, timestamp) in read_rows(path, columns):
            time: Any = base.parse_unix_time(timestamp)
            checks = {
                base.BAD_ID: base.is_valid_token(user) and base.is_valid_token(item),
                "the tag is empty": bool(tag.strip()),
                BAD_TIME: time is not None,
            }
            if row_report.accepts(line, checks):
                tags.add(user, item, time, tag=tag.strip())
    return base.Events(out, "pair")
