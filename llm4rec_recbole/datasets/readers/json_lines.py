"""JSON files and JSON lines, and the reviews and items that publishers write in them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm4rec_recbole.data.line_reader import open_bytes, read_lines
from llm4rec_recbole.datasets.archives import reraise_corrupt_archive
from llm4rec_recbole.datasets.base import (
    BAD_ID,
    Events,
    LogBuilder,
    RawData,
    RawLog,
    RowReport,
    describe_entities,
    is_valid_token,
)
from llm4rec_recbole.datasets.events import EventWriter
from llm4rec_recbole.errors import InputError

# Parsed JSON needs up to 25 times the memory of its text, a parsed Python literal up to 250 times.
MAX_JSON = 1 << 24  # bytes of a JSON file; line_reader has the same limit for a line
MAX_LITERAL = 1 << 20  # characters of a Python literal
_PRICE = re.compile(r"\$? ?(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)")
_REVIEW_COLUMNS = {"summary": "string", "text": "string", "helpful": "int32", "votes": "int32"}


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in the file, lone surrogates replaced by "?".

    Raises InputError, with the line if it is known, for a file that is corrupt, cut short, not an
    object or larger than MAX_JSON.
    """
    with open_bytes(path) as file, reraise_corrupt_archive("corrupt, perhaps cut short", path):
        content = file.read(MAX_JSON + 1)
    if len(content) > MAX_JSON:
        message = f"a JSON file of more than {MAX_JSON >> 20} MiB"
        raise InputError(message, file=path, hint="is it the right file?")
    try:
        value = _with_surrogates_replaced(content.decode(), json.loads)
    except UnicodeDecodeError as error:
        raise InputError(f"not valid UTF-8: {error.reason}", file=path) from None
    except json.JSONDecodeError as error:
        message = f"not JSON, or cut short: {error.msg}"
        raise InputError(message, file=path, line=error.lineno) from None
    except (ValueError, RecursionError) as error:  # thousands of digits or brackets
        why = str(error).partition(";")[0]
        raise InputError(f"it cannot be read: {why}", file=path) from None
    if not isinstance(value, dict):
        raise InputError("it must hold a JSON object", file=path, line=1)
    return value


def read_objects(path: Path, *, python: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line, object) for each line.

    python: a line may also be a Python literal, as in Amazon's metadata of 2014. It is parsed
    (ast.literal_eval), never executed. Raises InputError, with the line, for a line that is not an
    object. It may be cut in half.
    """
    for number, line in read_lines(path, open_end=True):  # half an object is not an object
        value = _parse(path, number, line, python)
        if not isinstance(value, dict):
            raise InputError("it must be a JSON object", file=path, line=number)
        yield number, value


def _parse(path: Path, number: int, line: str, python: bool) -> Any:
    try:
        return _with_surrogates_replaced(line, json.loads)
    except json.JSONDecodeError as error:
        why = f"{error.msg} at column {error.colno}"
    except (ValueError, RecursionError) as error:  # thousands of digits or brackets
        why = str(error).partition(";")[0]
    if python and line.startswith("{'"):
        if len(line) > MAX_LITERAL:
            message = f"a Python literal of more than {MAX_LITERAL >> 20} MiB"
            raise InputError(message, file=path, line=number)
        try:
            return _with_surrogates_replaced(line, ast.literal_eval)
        except (SyntaxError, TypeError, ValueError, MemoryError, RecursionError):
            why = "not a Python literal either"
    raise InputError(f"not JSON, or cut in half: {why}", file=path, line=number)


def _with_surrogates_replaced(text: str, parse: Callable[[str], Any]) -> Any:
    value = parse(text)
    escape = "\\ud" if parse is json.loads else "\\u"  # Python also has \U0000d800
    return replace_surrogates(value) if escape in text.lower() else value


def replace_surrogates(value: Any) -> Any:
    """`value` with "?" for each lone surrogate, half of a character that no file can hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [replace_surrogates(element) for element in value]
    if isinstance(value, dict):
        return {replace_surrogates(key): replace_surrogates(v) for key, v in value.items()}
    return value


def clean_text(value: Any) -> str | None:
    """`value` if it is a string with words. A list of strings is joined. Otherwise None."""
    if isinstance(value, list):
        value = " ".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) and value.strip() else None


def parse_count(value: Any) -> int | None:
    """`value` if it is a count below 2^31, otherwise None."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
    return value if is_count else None


def parse_price(value: Any) -> float | None:
    """A price as a number, from a number or a string such as "$1,299.00". Otherwise None."""
    if isinstance(value, str):
        match = _PRICE.fullmatch(value.strip())
        value = float(match[1].replace(",", "")) if match else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e9 else None


@dataclass(frozen=True)
class ReviewFormat:
    """Field names of a publisher's reviews and items, and functions that read the other fields."""

    user: str
    item: str  # also in the items' file
    rating: str
    time: Callable[[dict[str, Any]], float | None]  # seconds, or None
    review: Callable[[dict[str, Any]], dict[str, Any]]  # summary, text, helpful, votes or None
    describe_item: Callable[[dict[str, Any]], dict[str, Any]]  # columns of the items' table
    item_unit: str = "products"
    python_items: bool = False  # whether items may be Python literals


def read_reviews_and_items(files: dict[str, Path], staging: Path, form: ReviewFormat) -> RawData:
    """The reviews, and the items if the file is there, by their roles."""
    row_report = RowReport(files["reviews"], "reviews")
    log, reviews = _read_reviews(files["reviews"], form, row_report, staging)
    data = RawData(log, {"reviews": row_report}, events={"reviews": reviews})
    if "items" in files:
        data.row_reports["items"] = RowReport(files["items"], form.item_unit)
        rows = read_objects(files["items"], python=form.python_items)
        data.items = describe_entities(
            rows, data.row_reports["items"], form.item, "item_id", form.describe_item
        )
    return data


def _read_reviews(
    path: Path, form: ReviewFormat, row_report: RowReport, staging: Path
) -> tuple[RawLog, Events]:
    """The interactions of the reviews and a table of their content, in file order.

    A review without user, item, time or a rating from 1 to 5 is dropped and counted. Raises
    InputError for a line that is not a JSON object.
    """
    log, out = LogBuilder(), staging / "reviews.parquet"
    with EventWriter(out, _REVIEW_COLUMNS) as reviews:
        for line, row in read_objects(path):
            row_report.read += 1
            user, item, rating = row.get(form.user), row.get(form.item), row.get(form.rating)
            time = form.time(row)
            if not (is_valid_token(user) and is_valid_token(item)):
                row_report.drop(BAD_ID, line)
            elif rating is True or not (isinstance(rating, int | float) and 1 <= rating <= 5):
                row_report.drop("rating is not a number from 1 to 5", line)
            elif time is None:
                row_report.drop("time is missing or not a Unix time", line)
            else:
                log.add(user, item, time, float(rating))
                reviews.add(user, item, time, **form.review(row))
    return log.build(), Events(out, "row")
