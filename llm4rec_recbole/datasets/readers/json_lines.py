"""JSON lines: an object on each line."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm4rec_recbole.data.line_reader import read_lines
from llm4rec_recbole.datasets.base import BAD_ID, Events, EventWriter, LogBuilder, RawLog, is_id
from llm4rec_recbole.datasets.row_report import Tally
from llm4rec_recbole.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def read_objects(path: Path, *, python: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line, object) for each line.

    With `python`, a line may also be a Python literal, as in Amazon's metadata of 2014; it is
    parsed (ast.literal_eval), never run. Raises InputError, with the line, for one that is no
    object: it may be cut in half.
    """
    for number, line in read_lines(path, open_end=True):  # half an object is none
        value = _parse(path, number, line, python)
        if not isinstance(value, dict):
            raise InputError("it must be a JSON object", file=path, line=number)
        yield number, value


def _parse(path: Path, number: int, line: str, python: bool) -> Any:
    try:
        value = json.loads(line)
        return whole(value) if "\\ud" in line.lower() else value
    except json.JSONDecodeError as error:
        why = f"{error.msg} at column {error.colno}"
    except (ValueError, RecursionError) as error:  # of a number of thousands of digits, or depth
        why = str(error).partition(";")[0]
    if python and line.startswith("{'"):
        try:
            value = ast.literal_eval(line)
            return whole(value) if "\\u" in line.lower() else value
        except (SyntaxError, TypeError, ValueError, MemoryError, RecursionError):
            why = "nor a Python literal"
    raise InputError(f"not JSON, or cut in half: {why}", file=path, line=number)


def whole(value: Any) -> Any:
    """`value` with a "?" for each half of a character (a lone surrogate): no file can hold one."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [whole(each) for each in value]
    if isinstance(value, dict):
        return {whole(key): whole(each) for key, each in value.items()}
    return value


def text_of(value: Any) -> str | None:
    """`value` if it is a text that says something; a list of texts as one; else None."""
    if isinstance(value, list):
        value = " ".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) and value.strip() else None


def count_of(value: Any) -> int | None:
    """`value` if it is a count, None if it is missing or none."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
    return value if is_count else None


# Items as JSON lines: one row for each new id.


_PRICE = re.compile(r"\$? ?(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)")


def table(
    rows: Iterable[tuple[int, dict[str, Any]]],
    tally: Tally,
    id_field: str,
    id_column: str,
    content: Callable[[dict[str, Any]], dict[str, Any]],
) -> pd.DataFrame:
    """A row for each object with a new id in `id_field`: the id, and what `content` makes of it.

    `tally` counts the objects without an id and those whose id came before.
    """
    import pandas as pd

    kept: dict[str, dict[str, Any]] = {}
    for line, row in rows:
        tally.read += 1
        token = row.get(id_field)
        if not is_id(token):
            tally.drop(BAD_ID, line)
        elif token in kept:
            tally.drop("an id that came before", line)
        else:
            kept[token] = {id_column: token, **content(row)}
    return pd.DataFrame(list(kept.values()), columns=None if kept else [id_column])


def price_of(value: Any) -> float | None:
    """A price as a number, from a number or a text such as "$1,299.00"; None for any other."""
    if isinstance(value, str):
        match = _PRICE.fullmatch(value.strip())
        value = float(match[1].replace(",", "")) if match else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e9 else None


# Reviews as JSON lines, whoever publishes them: the interactions, and what was written.


CONTENT = {"summary": "string", "text": "string", "helpful": "int32", "votes": "int32"}


@dataclass(frozen=True)
class ReviewFormat:
    """The names of a review's fields, and how to read the others.

    `time` gives seconds, or None for no time; `content` the values of CONTENT, each maybe None.
    """

    user: str
    item: str
    rating: str
    time: Callable[[dict[str, Any]], float | None]
    content: Callable[[dict[str, Any]], dict[str, Any]]


def read_reviews(
    path: Path, form: ReviewFormat, tally: Tally, scratch: Path
) -> tuple[RawLog, Events]:
    """The reviews' interactions and a table of their content, in file order.

    A review without user, item, rating from 1 to 5 or time is dropped and counted. Raises
    InputError for a line that is no JSON object.
    """
    log, out = LogBuilder(), scratch / "reviews.parquet"
    with EventWriter(out, CONTENT) as reviews:
        for line, row in read_objects(path):
            tally.read += 1
            user, item, rating = (row.get(name) for name in (form.user, form.item, form.rating))
            time = form.time(row)
            if not (is_id(user) and is_id(item)):
                tally.drop(BAD_ID, line)
            elif rating is True or not (isinstance(rating, int | float) and 1 <= rating <= 5):
                tally.drop("rating is no number from 1 to 5", line)
            elif time is None:
                tally.drop("time is missing or no Unix time", line)
            else:
                log.add(user, item, time, float(rating))
                reviews.add(user, item, time, **form.content(row))
    return log.build(), Events(out, "row")
