"""Options of the benchmarks that train EnhancedGenRec: how long, on what, and where results go."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """--seed, --epochs, --threads, --llm, --text-encoder and --output."""
    parser.add_argument("--seed", type=int, default=0, help="of data and models (%(default)s)")
    parser.add_argument("--epochs", type=int, help="(default: those of the model)")
    parser.add_argument("--threads", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--llm", help="backbone, with all its layers (default: the model's)")
    parser.add_argument("--text-encoder", help="(default: the model's)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder to write to")


def training_options(a: argparse.Namespace) -> dict[str, Any]:
    """The options as `train` takes them, but for the seed."""
    named = {"epochs": a.epochs, "llm": a.llm, "text_encoder": a.text_encoder}
    options = {"num_threads": a.threads} | {k: v for k, v in named.items() if v is not None}
    return options | ({"llm_layers": None} if a.llm else {})
