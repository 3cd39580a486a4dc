"""Stopping a training without losing it, and going on from its last checkpoint.

RecBole writes a checkpoint at each best validation. A run that SIGTERM or Ctrl-C stops also writes
its state after the last complete epoch, to `<checkpoint>.stopped`. `run_recbole … --resume`
continues from the newer of the two. The results equal those of an uninterrupted run to the last
bit, because a checkpoint holds all weights, optimizers and random generators.
"""

from __future__ import annotations

import glob
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llm4rec_recbole import checkpoints
from llm4rec_recbole.console import Terminated
from llm4rec_recbole.errors import InputError


@contextmanager
def saved_when_stopped(trainer: Any) -> Iterator[None]:
    """Write the training's state if SIGTERM or Ctrl-C stops the block, and say how to go on.

    The state is that after the last complete epoch, which a copy in memory holds.
    """
    last: list[checkpoints.Packed] = []

    def remember(trainer: Any, epoch: int) -> None:
        last[:] = [trainer.pack_state(epoch)]

    if not hasattr(trainer, "pack_state"):  # a trainer of decision trees has no epochs
        yield
        return
    trainer.on_epoch_start = remember
    try:
        yield
    except (KeyboardInterrupt, Terminated):
        if last:
            path = f"{trainer.saved_model_file}{checkpoints.STOPPED}"
            checkpoints.write_packed(path, last[0])
            print(f"saved {path}; the same command with --resume goes on from it", file=sys.stderr)
        raise
    finally:
        trainer.on_epoch_start = None


def last_checkpoint(config: Any) -> Path:
    """The newest checkpoint of an unfinished run with the configuration and the data of `config`.

    Raises InputError, in one line, where there is none.
    """
    folder = Path(config["checkpoint_dir"])
    name = glob.escape(f"{config['model']}-{config['dataset']}-seed_{config['seed']}-")
    files = [
        *folder.glob(f"{name}*.safetensors"),
        *folder.glob(f"{name}*.safetensors{checkpoints.STOPPED}"),
    ]
    identity = checkpoints.describe_run(config)["identity"]
    finished = False
    for path in sorted(files, key=lambda file: file.stat().st_mtime_ns, reverse=True):
        try:
            header = checkpoints.read_header(path)
        except InputError as error:
            print(f"passed over: {error}", file=sys.stderr)
            continue
        if header.run.get("identity") == identity:
            if not header.finished:
                return path
            finished = True
    if finished:
        message = f"nothing to resume: the run of this checkpoint in {folder} has finished"
    else:
        message = f"nothing to resume: {folder} has no checkpoint of this run"
        message += " (same model, data, protocol, seed and options)"
    raise InputError(message, hint="leave --resume out to train from the start")


def forget_stopped_state(checkpoint: str | Path) -> None:
    """Remove the state that a stopped attempt of a run left, now that the run has its record."""
    Path(f"{checkpoint}{checkpoints.STOPPED}").unlink(missing_ok=True)


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
