"""`ratings.csv` of MovieLens, 25 million rows of it: in blocks of whole lines.

Arrow parses a block; one that it refuses is read row by row, so that each bad row is dropped and
counted under its reason. Ids are whole numbers.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llm4rec_recbole.data.csv_rows import find_columns, split_line
from llm4rec_recbole.data.lines import decode, read_blocks
from llm4rec_recbole.data.movielens_rows import BAD_RATING, BAD_TIME, LEAST, MOST, add_rating
from llm4rec_recbole.data.raw_log import LogBuilder, RawLog
from llm4rec_recbole.data.tally import Tally
from llm4rec_recbole.data.times import END_OF_TIME, MILLISECONDS
from llm4rec_recbole.errors import InputError

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
