"""Options that the commands share. Nothing heavy is imported before they are known to be right."""

from __future__ import annotations

import argparse
from pathlib import Path

from llm4rec_recbole.errors import InputError

MOST = 100  # items in a list: as many as a users file holds
LANGUAGE_MODEL = "SmolLM2-135M"  # encoders/language_model.py's, not imported to print a help text


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """The options that say which trained model is meant."""
    parser.add_argument("--model", default="EnhancedGenRec", help="its name (%(default)s)")
    parser.add_argument("--dataset", default="ml-100k", help="what it was trained on (%(default)s)")
    parser.add_argument("--checkpoint", help="its file (default: the newest of --checkpoint_dir)")
    parser.add_argument(
        "--checkpoint_dir", default="work/checkpoints", help="where runs leave them (%(default)s)"
    )


def add_k_option(parser: argparse.ArgumentParser, default: int) -> None:
    """The option that says how many items are recommended; see `check_k`."""
    parser.add_argument("-k", type=int, default=default, help="how many items (%(default)s)")


def check_k(k: int) -> None:
    """Raises InputError for a list that is not of 1 to MOST items."""
    if not 1 <= k <= MOST:
        raise InputError(f"-k is {k}", hint=f"1 to {MOST}")


def add_writer_option(parser: argparse.ArgumentParser) -> None:
    """The option that says who writes the sentences."""
    parser.add_argument(
        "--language_model",
        default=LANGUAGE_MODEL,
        help="what writes: the packaged %(default)s, a folder, a hub name; none: templates",
    )


def add_state_option(parser: argparse.ArgumentParser) -> None:
    """The option that says where a model's later learning is kept."""
    parser.add_argument("--state", help="folder of `llm4rec adapt`: ask the model as it is by now")


def add_results_option(parser: argparse.ArgumentParser) -> None:
    """The option that names the results folder."""
    parser.add_argument("--results", type=Path, default=Path("results"),
                        help="folder with runs/ and users/ (%(default)s)")  # fmt: skip


def add_data_option(parser: argparse.ArgumentParser) -> None:
    """The option that names the folder of the data sets."""
    parser.add_argument("--data", type=Path, default=Path("dataset"),
                        help="folder of the data sets' atomic files (%(default)s)")  # fmt: skip


def add_recbole_row_option(parser: argparse.ArgumentParser) -> None:
    """The option that chooses the method of the paper's row "RecBole"."""
    parser.add_argument("--recbole-row", default="BPR",
                        help='the method in the row "RecBole" (%(default)s)')  # fmt: skip


def add_report_inputs(parser: argparse.ArgumentParser) -> None:
    """The options that name everything that tables and report read."""
    from llm4rec_recbole.analysis.paper import paper_numbers

    add_results_option(parser)
    parser.add_argument("--failures", type=Path, default=Path("work/failures"),
                        help="folder of the failure notes of runs (%(default)s)")  # fmt: skip
    parser.add_argument("--printed", type=Path, default=paper_numbers.folder(),
                        help="folder of the numbers that the paper prints")  # fmt: skip
    add_recbole_row_option(parser)
