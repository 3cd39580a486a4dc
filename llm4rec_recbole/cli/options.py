"""Options that several commands share; no heavy library is imported here."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import printed_folder
from llm4rec_recbole.language_models import sources
from llm4rec_recbole.parser import Parser

MAX_ITEMS = 100  # items in a list, as in a users file
LANGUAGE_MODEL = "SmolLM2-135M"  # that of language_models/load.py, whose import is slow

#: Those that select a trained model.
MODEL = ("--model", "--dataset", "--checkpoint", "--checkpoint_dir")
#: Those of all that tables and report read.
REPORT = ("--results", "--failures", "--recbole-row", "--printed")


def _existing_folder(name: str) -> Path:
    """The folder `name`, which a command reads."""
    if not Path(name).is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {name}")
    return Path(name)


def _language_model(name: str) -> str:
    """`name`, which a language model may have."""
    try:
        sources.check_names(None if name == "none" else name, None, None, None)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return name


_OPTIONS: dict[str, dict[str, Any]] = {
    "--model": {
        "default": "EnhancedGenRec",
        "help": "a model or the method of its run, or file.py:Class of your own (%(default)s)",
    },
    "--dataset": {"default": "ml-100k", "help": "the data set of its training (%(default)s)"},
    "--checkpoint": {
        "help": "checkpoint file (default: the newest finished one in --checkpoint_dir)"
    },
    "--checkpoint_dir": {
        "default": "work/checkpoints",
        "help": "folder of the checkpoints (%(default)s)",
    },
    "-k": {"type": int, "default": 10, "help": "how many items (%(default)s)"},
    "--language_model": {
        "type": _language_model,
        "default": LANGUAGE_MODEL,
        "help": "the packaged %(default)s, a folder, or a name on the hub; none: templates",
    },
    "--state": {"help": "folder of `llm4rec adapt`: use the model with what it learned"},
    "--results_dir": {"default": "work", "help": "folder to write to (%(default)s)"},
    "--results": {
        "type": _existing_folder,
        "default": Path("results"),
        "help": "folder with runs/ and users/ (%(default)s)",
    },
    "--data": {
        "type": Path,
        "default": Path("dataset"),
        "help": "folder of the data sets' atomic files (%(default)s)",
    },
    "--other_results": {
        "type": _existing_folder,
        "default": Path("benchmarks/results"),
        "help": "folder of further results folders (%(default)s)",
    },
    "--failures": {
        "type": Path,
        "default": Path("work/failures"),
        "help": "folder of the failure notes of runs (%(default)s)",
    },
    "--recbole-row": {"default": "BPR", "help": 'the method in the row "RecBole" (%(default)s)'},
    "--printed": {
        "type": _existing_folder,
        "default": printed_folder(),
        "help": "folder of the numbers that the paper prints",
    },
    "--out": {
        "type": Path,
        "default": Path("paper_tables"),
        "help": "folder to write to (%(default)s)",
    },
}


def parser_of(description: str, *options: str) -> Parser:
    """A parser with shared options, by their names in _OPTIONS."""
    parser = Parser(description=description)
    for name in options:
        parser.add_argument(name, **_OPTIONS[name])
    return parser


def check_k(k: int) -> None:
    """Raise InputError unless a list has 1 to MAX_ITEMS items."""
    if not 1 <= k <= MAX_ITEMS:
        raise InputError(f"-k is {k}", hint=f"1 to {MAX_ITEMS}")
