"""JSON lines: an object on each line."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llm4rec_recbole.data.lines import read_lines
from llm4rec_recbole.errors import InputError


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
