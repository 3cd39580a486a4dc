"""Write RecBole's atomic files: a header of `name:type` fields, then one row a line, with tabs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4rec_recbole.data.raw_log import RawLog
from llm4rec_recbole.files import replacing

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
