"""The one error that a person should read: what is wrong, where, and how to correct it."""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
import reprlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_LONGEST = 600  # characters of a line on stderr


class InputError(ValueError):
    """Bad input, described in one line: `file:line: message (hint)`.

    The command line prints the line, without a traceback, and exits with status 2.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        self.message, self.file, self.line, self.hint = message, file, line, hint
        where = "" if file is None else f"{file}: " if line is None else f"{file}:{line}: "
        super().__init__(one_line(where + message + (f" ({hint})" if hint else "")))


def one_line(text: str) -> str:
    """`text` as one line of at most 600 characters, each of which a terminal can print.

    The middle of a longer text is left out. Bytes of a path that are not UTF-8 are written out,
    such as `\\xe9`, and so are characters that are not printed.
    """
    try:
        text = os.fsencode(text).decode(errors="backslashreplace")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        text = text.encode(errors="backslashreplace").decode()
    if len(lines := re.split(r"[\r\n]+", text)) > 1:
        text = " ".join(filter(None, map(str.strip, lines)))
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 200]} … {text[-150:]}"
    if not text.isprintable():
        text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text


@contextmanager
def disk_errors(
    message: str = "", file: str | Path | None = None, hint: str | None = None
) -> Iterator[None]:
    """Report an OSError, such as a full disk, in one line that names its file, else `file`."""
    try:
        yield
    except OSError as error:
        reason = str(error.strerror or error)
        text = f"{message}: {reason}" if message else reason
        raise InputError(text, file=error.filename or file, hint=hint) from error


#: Import name → what pip installs, where the two differ.
_DISTRIBUTIONS = {
    "recbole": "--no-deps recbole==1.2.1",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "faiss": "faiss-cpu",
    "lightgbm": "lightgbm xgboost",  # RecBole imports both for either
    "xgboost": "lightgbm xgboost",
    "kmeans_pytorch": "kmeans-pytorch",
    "torch_scatter": "--no-build-isolation torch-scatter",
}


def missing_package(module: str, reader: str) -> InputError:
    """The error that `reader` needs the package of `module`, with the command that installs it."""
    package = module.partition(".")[0]
    hint = f"pip install {_DISTRIBUTIONS.get(package, package)}"
    return InputError(f"{reader} needs the package {package}, which is not installed", hint=hint)


def absent_package(error: ModuleNotFoundError) -> str | None:
    """The package that is not installed; None where a module of an installed package is missing."""
    package = (error.name or "").partition(".")[0]
    return package if package and importlib.util.find_spec(package) is None else None


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """`; did you mean X?` with the name nearest to `word`, or "" when no name is near."""
    by_lower = {name.lower(): name for name in names}
    matches = difflib.get_close_matches(str(word).lower()[:100], by_lower, n=1, cutoff=0.5)
    return f"; did you mean {by_lower[matches[0]]}?" if matches else ""


def shorten(value: Any) -> str:
    """`value` as a person would type it, at most about 80 characters, whatever its size."""
    if value is None:
        return "~"
    if isinstance(value, str):
        text = " ".join(value[:100].split())
    elif isinstance(value, list | tuple | dict | set):
        text = _SHORT.repr(value)
    elif isinstance(value, int) and value.bit_length() > 300:  # str() refuses 4,300 digits
        text = "a number of more than 90 digits"
    else:
        text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."


_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxlong, _SHORT.maxother = 3, 40, 40, 40
