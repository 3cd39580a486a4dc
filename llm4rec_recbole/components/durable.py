"""Online learning that can be killed at any moment: no event is lost, none is learned twice.

    check ─▶ journal (on the disk) ─▶ update ─▶ observe ─▶ every so often a snapshot

The journal comes first. At the next start the last snapshot is loaded, and the events that the
journal holds beyond it are learned again, in the same order: an update has no randomness, so on a
CPU the model is what it was, to the last bit. Then the source is read on after the journal's end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType

from llm4rec_recbole.components.events import BadLine, Event, read_events
from llm4rec_recbole.components.journal import Journal
from llm4rec_recbole.components.online import OnlineAdapter, Update
from llm4rec_recbole.errors import InputError


def _nothing(event: Event) -> None:
    """The default for `check` and `observe`."""


class DurableAdapter:
    """An OnlineAdapter whose progress lives in `folder`: journal.jsonl and snapshot.safetensors.

    `adapter` is made on the model as it was before any event. check(event) raises InputError for
    one that the model cannot learn from, such as an unknown user: it is reported as a bad line.
    observe(event) is called once for each accepted event, those of earlier runs included, after the
    update: here the caller lengthens the user's history. Raises InputError when `folder` is in use,
    damaged, or of another model or settings.
    """

    def __init__(
        self,
        adapter: OnlineAdapter,
        folder: str | Path,
        *,
        check: Callable[[Event], None] = _nothing,
        observe: Callable[[Event], None] = _nothing,
        snapshot_every: int = 100,
    ) -> None:
        self.adapter, self._check, self._observe = adapter, check, observe
        self.snapshot_every = snapshot_every
        self._snapshot = Path(folder) / "snapshot.safetensors"
        self.journal = Journal(Path(folder) / "journal.jsonl")
        try:
            self._resume()
        except BaseException:
            self.journal.close()
            raise

    def feed(
        self, lines: Iterable[bytes], source: str | None = None
    ) -> Iterator[tuple[int, Update | BadLine]]:
        """Learn from each event in `lines` that is not in the journal; tell of each, by its line.

        `source` names the file that the lines are of, so that reading goes on behind the last of
        its lines in the journal; None is for a stream, whose lines are all new. Raises InputError
        when the file is no longer the one that was read.
        """
        last = self.journal.last(source) if source is not None else None
        for number, event in read_events(lines):
            if last is not None:
                if number < last.line:
                    continue
                if number > last.line or event != last.event:
                    break
                last = None  # what follows is new
                continue
            event = self._checked(number, event)
            if isinstance(event, BadLine):
                yield number, event
                continue
            self.journal.append(source, number, event)
            yield number, self._learn(number, event)
            if len(self.journal) % self.snapshot_every == 0:
                self.snapshot()
        if last is not None:
            hint = "give a new file a new name"
            raise InputError("changed since it was read", file=source, line=last.line, hint=hint)

    def _checked(self, number: int, event: Event | BadLine) -> Event | BadLine:
        try:
            if isinstance(event, Event):
                self._check(event)
        except InputError as error:
            return BadLine(number, str(error))
        return event

    def snapshot(self) -> None:
        """Save the state after the journal's last event, atomically; the next start is quicker."""
        from llm4rec_recbole.training import checkpoint

        state = {"adapter": self.adapter.state_dict(), "journal": len(self.journal)}
        checkpoint.save(self._snapshot, state)

    def close(self) -> None:
        """Take a last snapshot and release the folder."""
        self.snapshot()
        self.journal.close()

    def __enter__(self) -> DurableAdapter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.journal.close() if error else self.close()

    def _learn(self, number: int, event: Event) -> Update | BadLine:
        try:
            result: Update | BadLine = self.adapter.update(event)
        except (
            FloatingPointError
        ) as error:  # it stays in the journal, and fails again when replayed
            result = BadLine(number, str(error))
        self._observe(event)
        return result

    def _resume(self) -> None:
        from llm4rec_recbole.training import checkpoint

        learned = 0
        if self._snapshot.exists():
            state = checkpoint.load(self._snapshot)
            learned = state["journal"]
            try:
                self.adapter.load_state_dict(state["adapter"])
            except ValueError as error:
                raise InputError(str(error), file=self._snapshot) from error
        if learned > len(self.journal):
            raise InputError("older than the snapshot beside it", file=self.journal.path)
        for number, entry in enumerate(self.journal.entries(), 1):
            if number <= learned:
                self._observe(entry.event)
            else:
                self._learn(entry.line, entry.event)
