"""`llm4rec adapt --events FILE|-`: a trained model learns from feedback, event by event.

Events are JSON lines (components/events.py); what they mean stands in training/feedback.py. Kill it
at any moment and start it again: a file is read on after the last event that the journal holds. The
lines of a stream (`-`) are all new. `llm4rec recommend --state FOLDER` asks what was learned.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from llm4rec_recbole.cli.options import add_model_options
from llm4rec_recbole.errors import InputError

if TYPE_CHECKING:
    from llm4rec_recbole.components.adaptation.journal import CrashSafeAdapter
    from llm4rec_recbole.inference.feedback import Feedback


def main(argv: Sequence[str]) -> int:
    """Learn from every event that is new; a bad line is told on stderr and skipped. Raises
    InputError for a model that is not trained or does not learn from events, for events that cannot
    be read, and for a state folder that is another model's, in use, or damaged."""
    parser = argparse.ArgumentParser(description="Let a trained model learn from feedback.")
    parser.add_argument("--events", required=True, help="file of JSON lines; -: standard input")
    parser.add_argument(
        "--state",
        help="folder that keeps what was learned "
        "(default: work/adapted/<dataset>/<protocol>/<method>/seed_<k>)",
    )
    add_model_options(parser)
    options = parser.parse_args(argv)
    with _opened(options.events) as lines:
        from llm4rec_recbole.inference import recommend
        from llm4rec_recbole.inference.adaptation_session import resume

        model = recommend.restore_from_args(options)
        config = model.config
        own = Path(config["dataset"], config["protocol"], model.method, f"seed_{config['seed']}")
        folder = Path(options.state or Path("work/adapted", own))
        source = None if options.events == "-" else str(Path(options.events).resolve())
        try:
            durable, feedback = resume(model, folder)
            before = len(durable.journal)
            print(
                f"{recommend.describe(model)}\nstate: {folder}, {before} events in it",
                flush=True,
            )
            with durable:
                tally = learn(durable, feedback, lines, source)
        except OSError as error:
            reason = error.strerror or str(error)
            hint = "no accepted event is lost: start it again"
            raise InputError(f"cannot write: {reason}", file=folder, hint=hint) from error
        except KeyboardInterrupt:
            print("stopped; start it again to go on", file=sys.stderr)
            return 130
    print(tally)
    return 0


@dataclass
class LearningSummary:
    """What one call has learned; losses and seconds are sums."""

    events: int = 0
    bad: int = 0
    loss_before: float = 0.0
    loss_after: float = 0.0
    seconds: float = 0.0

    def __str__(self) -> str:
        told = f"learned {self.events} events, skipped {self.bad} bad lines"
        if not self.events:
            return told
        before, after, ms = (
            each / self.events for each in (self.loss_before, self.loss_after, 1000 * self.seconds)
        )
        return (
            f"{told}\nmean loss of an event: {before:.4f} before it was learned, {after:.4f} after;"
            f" {ms:.1f} ms an event"
        )


class Stopwatch:
    """Wall-clock seconds since it was made, pauses left out."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    @contextmanager
    def paused(self) -> Iterator[None]:
        since = time.perf_counter()
        yield
        self._began += time.perf_counter() - since


def learn(
    durable: CrashSafeAdapter, feedback: Feedback, lines: Iterable[bytes], source: str | None
) -> LearningSummary:
    """Learn from `lines`; tell of the bad ones on stderr.

    The time is that of journal, update and snapshots; waiting for lines, and measuring the loss
    after each update, are left out.
    """
    import torch

    from llm4rec_recbole.components.adaptation.events import BadLine

    tally, watch = LearningSummary(), Stopwatch()
    for _, told in durable.feed(_awaited(lines, watch), source):
        with watch.paused():
            if isinstance(told, BadLine):
                tally.bad += 1
                print(told, file=sys.stderr, flush=True)
                continue
            entry = durable.journal.last(source)
            assert entry is not None  # it was just learned
            with torch.no_grad():
                tally.loss_after += float(feedback.loss(entry.event).loss)
            tally.loss_before += told.loss
            tally.events += 1
    tally.seconds = watch.seconds
    return tally


def _awaited(lines: Iterable[bytes], watch: Stopwatch) -> Iterator[bytes]:
    """The lines; the watch stands still until each is there."""
    waiting = iter(lines)
    while True:
        with watch.paused():
            line = next(waiting, None)
        if line is None:
            return
        yield line


def _opened(path: str) -> AbstractContextManager[BinaryIO]:
    if path == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"cannot read the events: {error.strerror}", file=path) from error
