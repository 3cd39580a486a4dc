"""What a row of MovieLens must hold, whichever file format it comes in."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llm4rec_recbole.data.line_reader import decode, find_columns, read_blocks, split_line
from llm4rec_recbole.data.timestamps import END_OF_TIME, MILLISECONDS
from llm4rec_recbole.datasets.base import BAD_ID, LogBuilder, RawLog, is_id, number_of, seconds
from llm4rec_recbole.datasets.row_report import Tally
from llm4rec_recbole.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


LEAST, MOST = 0.5, 5.0  # stars
BAD_RATING = "rating is no number from 0.5 to 5"
BAD_TIME = "time is missing or no Unix time"
NO_GENRES = "(no genres listed)"


def add_rating(log: LogBuilder, tally: Tally, line: int, row: Iterable[str]) -> None:
    """Add user, item, rating and time to the log, or count why not."""
    user, item, stars, when = row
    rating, time = rating_of(stars), seconds(when)
    if not (is_id(user) and is_id(item)):
        tally.drop(BAD_ID, line)
    elif rating is None:
        tally.drop(BAD_RATING, line)
    elif time is None:
        tally.drop(BAD_TIME, line)
    else:
        log.add(user, item, time, rating)


def rating_of(value: object) -> float | None:
    """A rating as a number, None where it is none or is not from 0.5 to 5."""
    rating = number_of(value)
    return rating if rating is not None and LEAST <= rating <= MOST else None


def table(rows: Iterable[tuple[int, list[str]]], tally: Tally, names: list[str]) -> pd.DataFrame:
    """The rows as a table whose first column is an id; `tally` counts rows without a new id.

    Genres, where `categories` is among the names, become lists.
    """
    import pandas as pd

    kept: dict[str, list[str]] = {}
    for line, cells in rows:
        tally.read += 1
        if not is_id(cells[0]):
            tally.drop(BAD_ID, line)
        elif cells[0] in kept:
            tally.drop("an id that came before", line)
        else:
            kept[cells[0]] = cells
    frame = pd.DataFrame(list(kept.values()), columns=names)
    if "categories" in names:
        frame["categories"] = [
            [genre for genre in genres.split("|") if genre and genre != NO_GENRES]
            for genres in frame["categories"]
        ]
    return frame


# `ratings.csv` of MovieLens, 25 million rows of it: in blocks of whole lines.
#
# Arrow parses a block; one that it refuses is read row by row, so that each bad row is dropped and
# counted under its reason. Ids are whole numbers.


COLUMNS = ("userId", "movieId", "rating", "timestamp")
_BLOCK_BYTES = 1 << 25


@dataclass(frozen=True)
class _Block:
    """Parallel arrays, one entry per rating."""

    users: np.ndarray  # int64
    items: np.ndarray  # int64
    ratings: np.ndarray  # float32
    times: np.ndarray  # float64, seconds


def read_ratings(path: Path, tally: Tally) -> RawLog:
    """The ratings, in file order.

    Raises InputError, with the line, for a file that is cut short, a column that is missing, and a
    row with a wrong number of cells.
    """
    blocks = list(_blocks(path, tally))
    if not blocks:
        raise InputError("it has no rating", file=path)
    users, user_tokens = _number(np.concatenate([block.users for block in blocks]))
    items, item_tokens = _number(np.concatenate([block.items for block in blocks]))
    return RawLog(
        users=users,
        items=items,
        times=np.concatenate([block.times for block in blocks]),
        ratings=np.concatenate([block.ratings for block in blocks]),
        user_tokens=user_tokens,
        item_tokens=item_tokens,
    )


def _number(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`ids` (N,) as int32 from 0, and the token of each number, in ascending order of id."""
    least, most = ids.min(initial=0), ids.max(initial=0)
    if int(most) - int(least) > 20 * len(ids) + 1_000_000:  # too thin for a table of all ids
        tokens, numbers = np.unique(ids, return_inverse=True)
        return numbers.astype(np.int32), tokens.astype(str).astype(object)
    there = np.zeros(most - least + 1, dtype=bool)
    there[ids - least] = True
    number = np.cumsum(there, dtype=np.int32) - 1
    return number[ids - least], (np.flatnonzero(there) + least).astype(str).astype(object)


def _blocks(path: Path, tally: Tally) -> Iterator[_Block]:
    header: list[str] = []
    for first, block in read_blocks(path, _BLOCK_BYTES):
        if first == 1:
            top, _, block = block.partition(b"\n")
            header = split_line(path, 1, decode(path, 1, top))
            find_columns(path, header, COLUMNS)
            first = 2
        if block:
            parsed = _parse(block, header)
            if parsed is None:
                yield _row_by_row(path, first, block, header, tally)
            else:
                yield _checked(parsed, first, tally)
    if not header:
        raise InputError("the file is empty", file=path)


def _parse(block: bytes, header: list[str]) -> _Block | None:
    """The block as Arrow reads it, None where a cell is not what it has to be."""
    import pyarrow as pa
    from pyarrow import csv

    if b"0x" in block or b"0X" in block:  # a number to Arrow, and to nobody else
        return None
    types = dict(zip(COLUMNS, (pa.int64(), pa.int64(), pa.float32(), pa.float64())))
    try:
        table = csv.read_csv(
            io.BytesIO(block),
            csv.ReadOptions(column_names=header),
            csv.ParseOptions(ignore_empty_lines=False),
            csv.ConvertOptions(column_types=types, include_columns=COLUMNS, null_values=[]),
        )
    except pa.ArrowInvalid:
        return None
    parsed = _Block(*(table[name].to_numpy() for name in COLUMNS))
    return None if min(parsed.users.min(), parsed.items.min()) < 0 else parsed  # no ids


def _checked(block: _Block, first: int, tally: Tally) -> _Block:
    """The block with seconds for times and without bad values; its rows are lines from `first`."""
    late = block.times >= MILLISECONDS
    times = np.where(late, block.times / 1000, block.times) if late.any() else block.times
    good_rating = (block.ratings >= LEAST) & (block.ratings <= MOST)
    good_time = (times >= 0) & (times < END_OF_TIME)
    tally.read += len(times)
    for reason, bad in ((BAD_RATING, ~good_rating), (BAD_TIME, good_rating & ~good_time)):
        if bad.any():
            tally.drop(reason, first + int(bad.argmax()), int(bad.sum()))
    good = good_rating & good_time
    if good.all():
        return _Block(block.users, block.items, block.ratings, times)
    return _Block(block.users[good], block.items[good], block.ratings[good], times[good])


def _row_by_row(path: Path, first: int, block: bytes, header: list[str], tally: Tally) -> _Block:
    where = find_columns(path, header, COLUMNS)
    log = LogBuilder()
    for number, line in enumerate(block.split(b"\n")[:-1], first):
        cells = split_line(path, number, decode(path, number, line), len(header))
        row = [cells[column].strip() for column in where]
        tally.read += 1
        if all(word.isascii() and word.isdigit() and len(word) < 19 for word in row[:2]):
            add_rating(log, tally, number, row)
        else:
            tally.drop("an id is missing or no whole number", number)
    rows = log.build()
    return _Block(
        rows.user_tokens.astype(np.int64)[rows.users],
        rows.item_tokens.astype(np.int64)[rows.items],
        np.empty(0, np.float32) if rows.ratings is None else rows.ratings,
        rows.times,
    )
