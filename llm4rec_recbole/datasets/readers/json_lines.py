"""JSON files and JSON lines: bounded, never executed, and with the line of a defect."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from llm4rec_recbole.data.line_reader import open_bytes, read_lines
from llm4rec_recbole.datasets.raw_sources import reraise_corrupt_archive
from llm4rec_recbole.errors import InputError

# Parsed JSON needs up to 25 times the memory of its text, a parsed Python literal up to 250 times.
MAX_JSON = 1 << 24  # bytes of a JSON file; line_reader has the same limit for a line
MAX_LITERAL = 1 << 20  # characters of a Python literal


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
