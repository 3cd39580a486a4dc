"""Options that several commands share; no heavy library is imported here."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError, shorten
from llm4rec_recbole.files import printed_folder
from llm4rec_recbole.language_models import sources
from llm4rec_recbole.parser import Parser

MAX_ITEMS = 100  # items in a list, as in a users file
LANGUAGE_MODEL = "SmolLM2-135M"  # as in language_models/load.py, which is slow to import

#: Options that select a trained model.
MODEL = ("--model", "--dataset", "--checkpoint", "--checkpoint_dir")
#: Options of the commands that make tables and reports.
REPORT = ("--results", "--failures", "--printed")


def _existing_folder(name: str) -> Path:
    """The folder `name`, which a command reads."""
    if not Path(name).is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {name}")
    return Path(name)


def _language_model(name: str) -> str:
    """`name`, if it can be the name of a language model."""
    try:
        sources.check_names(None if name == "none" else name, None, None, None)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return name


#: Option → type, default, help.
_OPTIONS: dict[str, tuple[Any, Any, str]] = {
    "--model": (
        str, "EnhancedGenRec",
        "a model or the method of its run, or file.py:Class of your own (%(default)s)",
    ),
    "--dataset": (str, "ml-100k", "the data set of its training (%(default)s)"),
    "--checkpoint": (
        str, None, "checkpoint file (default: the newest finished one in --checkpoint_dir)"
    ),
    "--checkpoint_dir": (str, "work/checkpoints", "folder of the checkpoints (%(default)s)"),
    "-k": (int, 10, "how many items (%(default)s)"),
    "--language_model": (
        _language_model, LANGUAGE_MODEL,
        "the packaged %(default)s, a folder, or a name on the hub; none: templates",
    ),
    "--state": (str, None, "folder of `llm4rec adapt`: use the model with what it learned"),
    "--results_dir": (str, "work", "folder to write to (%(default)s)"),
    "--results": (_existing_folder, Path("results"), "folder with runs/ and users/ (%(default)s)"),
    "--data": (Path, Path("dataset"), "folder of the data sets' atomic files (%(default)s)"),
    "--other_results": (
        _existing_folder, Path("benchmarks/results"),
        "folder of further results folders (%(default)s)",
    ),
    "--failures": (
        Path, Path("work/failures"), "folder of the failure notes of runs (%(default)s)"
    ),
    "--printed": (
        _existing_folder, printed_folder(), "folder of the numbers that the paper prints"
    ),
    "--out": (Path, Path("paper_tables"), "folder to write to (%(default)s)"),
}  # fmt: skip


def parser_of(description: str, *options: str) -> Parser:
    """A parser with shared options, by their names in _OPTIONS."""
    parser = Parser(description=description)
    for name in options:
        kind, default, text = _OPTIONS[name]
        parser.add_argument(name, type=kind, default=default, help=text)
    return parser


def count(text: str) -> int:
    """A whole number, 1 or more."""
    return int(_number(text, int, 1, "a whole number, 1 or more"))


def positive(text: str) -> float:
    """A number above 0."""
    return _number(text, float, math.ulp(0), "a number above 0")


def _number(text: str, kind: type[int] | type[float], least: float, what: str) -> float:
    """The finite number in `text`, which is at least `least`. Raises ArgumentTypeError."""
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not least <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{shorten(text)} is not {what}")
    return value


def check_k(k: int) -> None:
    """Raise InputError unless a list has 1 to MAX_ITEMS items."""
    if not 1 <= k <= MAX_ITEMS:
        raise InputError(f"-k is {k}", hint=f"1 to {MAX_ITEMS}")
