"""Options that several commands share; no heavy library is imported here."""

from __future__ import annotations

import argparse
from pathlib import Path

from llm4rec_recbole.errors import InputError

MAX_ITEMS = 100  # items in a list, as in a users file
LANGUAGE_MODEL = "SmolLM2-135M"  # that of language_models/load.py, whose import is slow


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that select a trained model."""
    parser.add_argument("--model", default="EnhancedGenRec", help="the model's name (%(default)s)")
    parser.add_argument(
        "--dataset", default="ml-100k", help="the data set of its training (%(default)s)"
    )
    parser.add_argument(
        "--checkpoint", help="its file (default: the newest finished one in --checkpoint_dir)"
    )
    parser.add_argument(
        "--checkpoint_dir",
        default="work/checkpoints",
        help="folder of the checkpoints (%(default)s)",
    )


def add_k_option(parser: argparse.ArgumentParser, default: int) -> None:
    """Add the option for the number of recommended items; see `check_k`."""
    parser.add_argument("-k", type=int, default=default, help="how many items (%(default)s)")


def check_k(k: int) -> None:
    """Raise InputError unless a list has 1 to MAX_ITEMS items."""
    if not 1 <= k <= MAX_ITEMS:
        raise InputError(f"-k is {k}", hint=f"1 to {MAX_ITEMS}")


def add_writer_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that selects the writer of the sentences."""
    parser.add_argument(
        "--language_model",
        default=LANGUAGE_MODEL,
        help="the packaged %(default)s, a folder, or a name on the hub; none: templates",
    )


def add_state_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for the state folder of `llm4rec adapt`."""
    parser.add_argument(
        "--state", help="folder of `llm4rec adapt`: use the model with what it learned"
    )


def add_results_dir_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for the folder of what a command measures."""
    parser.add_argument("--results_dir", default="work", help="folder to write to (%(default)s)")


def add_results_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for the results folder."""
    parser.add_argument("--results", type=Path, default=Path("results"),
                        help="folder with runs/ and users/ (%(default)s)")  # fmt: skip


def add_data_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for the folder of the data sets."""
    parser.add_argument("--data", type=Path, default=Path("dataset"),
                        help="folder of the data sets' atomic files (%(default)s)")  # fmt: skip


def add_other_results_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for the results of other data sets."""
    parser.add_argument("--other_results", type=Path, default=Path("benchmarks/results"),
                        help="folder of further results folders (%(default)s)")  # fmt: skip


def add_recbole_row_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses the method of the paper's row "RecBole"."""
    parser.add_argument("--recbole-row", default="BPR",
                        help='the method in the row "RecBole" (%(default)s)')  # fmt: skip


def add_report_inputs(parser: argparse.ArgumentParser) -> None:
    """Add the options for everything that tables and report read."""
    from llm4rec_recbole.analysis.paper import paper_numbers

    add_results_option(parser)
    parser.add_argument("--failures", type=Path, default=Path("work/failures"),
                        help="folder of the failure notes of runs (%(default)s)")  # fmt: skip
    parser.add_argument("--printed", type=Path, default=paper_numbers.folder(),
                        help="folder of the numbers that the paper prints")  # fmt: skip
    add_recbole_row_option(parser)
