"""`llm4rec adapt --events FILE|-`: a trained model learns from feedback, event by event.

Events are JSON lines (components/adaptation/events.py). inference/adaptation_session.py says what
they mean. The command may be killed at any moment and started again: it reads a file on from the
last event of the journal. The lines of a stream (`-`) are all new. `llm4rec recommend --state
FOLDER` recommends with what was learned.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from llm4rec_recbole.cli.options import MODEL, parser_of
from llm4rec_recbole.console import no_garbage_collection
from llm4rec_recbole.errors import InputError, disk_errors

if TYPE_CHECKING:
    from llm4rec_recbole.components.adaptation.journal import CrashSafeAdapter
    from llm4rec_recbole.inference.adaptation_session import Feedback

RESTART = "no accepted event is lost: start it again"


def main(argv: Sequence[str]) -> int:
    """Learn from every new event; report each bad line on stderr and skip it.

    Raises InputError for a model that is not trained or does not learn from events, for events that
    cannot be read, and for a state folder that is another model's, in use, or damaged.
    """
    parser = parser_of("Let a trained model learn from feedback events.", *MODEL)
    parser.add_argument("--events", required=True, help="file of JSON lines; -: standard input")
    parser.add_argument(
        "--state",
        help="folder for what the model learns "
        "(default: work/adapted/<dataset>/<protocol>/<method>/seed_<k>)",
    )
    options = parser.parse_args(argv)
    with _opened(options.events) as file:
        with no_garbage_collection():
            from llm4rec_recbole.components.adaptation.events import limited_lines
            from llm4rec_recbole.inference import recommend
            from llm4rec_recbole.inference.adaptation_session import resume

            model = recommend.restore_from_args(options, with_state=False)
        config = model.config
        run_folder = Path(
            config["dataset"], config["protocol"], model.method, f"seed_{config['seed']}"
        )
        folder = Path(options.state or Path("work/adapted", run_folder))
        name = None if options.events == "-" else str(Path(options.events).resolve())
        lines = limited_lines(file, options.events if name else "standard input")
        writing = partial(disk_errors, "cannot write", folder, RESTART)
        with writing():
            adapter, feedback = resume(model, folder, report=_report)
        try:
            n_before = len(adapter.journal)
            print(
                f"{recommend.describe(model)}\nstate: {folder}, with {n_before} events", flush=True
            )
            with writing(), adapter:
                summary = learn(adapter, feedback, lines, name)
        except KeyboardInterrupt:
            print("stopped; start it again to continue", file=sys.stderr)
            return 130
    print(summary)
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
        events = "event" if self.events == 1 else "events"
        lines = "line" if self.bad == 1 else "lines"
        counts = f"learned {self.events} {events}, skipped {self.bad} bad {lines}"
        if not self.events:
            return counts
        sums = (self.loss_before, self.loss_after, 1000 * self.seconds)
        before, after, ms = (total / self.events for total in sums)
        return (
            f"{counts}\nmean loss of an event: {before:.4f} before its update, {after:.4f} after;"
            f" {ms:.1f} ms per event"
        )


class Stopwatch:
    """Wall-clock seconds since it was made, without pauses."""

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
    adapter: CrashSafeAdapter, feedback: Feedback, lines: Iterable[bytes], file: str | None
) -> LearningSummary:
    """Learn from `lines`; report the bad ones on stderr.

    The time includes journal, updates and snapshots. It excludes the wait for lines, and the
    measurement of the loss after each update.
    """
    import torch

    from llm4rec_recbole.components.adaptation.events import BadLine

    summary, watch = LearningSummary(), Stopwatch()
    for _, result in adapter.feed(_awaited(lines, watch), file):
        with watch.paused():
            if isinstance(result, BadLine):
                summary.bad += 1
                _report(str(result))
                continue
            newest = adapter.journal.newest
            assert newest is not None  # it was just learned
            with torch.no_grad():
                summary.loss_after += float(feedback.losses([newest.event])[0].loss)
            summary.loss_before += result.loss
            summary.events += 1
    summary.seconds = watch.seconds
    return summary


def _awaited(lines: Iterable[bytes], watch: Stopwatch) -> Iterator[bytes]:
    """Yield the lines; the watch is paused until each has arrived."""
    waiting = iter(lines)
    while True:
        with watch.paused():
            line = next(waiting, None)
        if line is None:
            return
        yield line


def _report(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _opened(path: str) -> AbstractContextManager[BinaryIO]:
    if path == "-":
        if sys.stdin is None:
            raise InputError("cannot read the events: standard input is closed")
        return nullcontext(sys.stdin.buffer)
    try:
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"cannot read the events: {error.strerror}", file=path) from error
