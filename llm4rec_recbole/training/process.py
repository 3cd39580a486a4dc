"""The process of a run: seeds, threads, log, notes to the user, and what SIGTERM does."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llm4rec_recbole.console import Terminated
from llm4rec_recbole.evaluation.energy import detect_hardware


def set_up(config: Any) -> None:
    """Seed every generator, open the log, set the number of threads, look for energy sensors.
    Raises InputError for a country without an electricity mix."""
    from recbole.utils import init_logger, init_seed

    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    if config["quiet"]:
        logging.getLogger().setLevel(logging.WARNING)
    if config["num_threads"]:
        import torch

        torch.set_num_threads(config["num_threads"])
    detect_hardware(config["energy_country"])
    wanted = config["use_gpu"] and config.external_config_dict.get("gpu_id", "")
    if str(wanted) not in ("", "-1", "False") and config["device"].type == "cpu":
        note(config, f"there is no GPU {wanted}: this run is on the CPU")


def seed_generators(config: Any) -> None:
    """Seed the generators of Python, NumPy and PyTorch; each of several processes has a seed."""
    from recbole.utils import init_seed

    init_seed(config["seed"] + (config["local_rank"] or 0), config["reproducibility"])


def note(config: Any, text: str) -> None:
    """Print a note on standard error, unless the run is quiet."""
    if not config["quiet"]:
        print(f"note: {text}", file=sys.stderr)


@contextmanager
def terminated_by_sigterm() -> Iterator[None]:
    """Raise Terminated in the main thread when SIGTERM arrives, unless a handler is set already."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def terminate(number: int, frame: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the state is being written
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
