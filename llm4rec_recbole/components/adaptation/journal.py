"""An append-only journal of feedback events: what is in it was accepted, whatever happens next.

    {"source": "events.jsonl", "line": 17, "event": {"user": "7", "item": "50", ...}}

An entry is one write of one line, on the disk (fsync) before `append` returns. A crash in the
middle of it leaves a torn last line, which was never acknowledged: it is cut off at the next start.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from llm4rec_recbole.components.adaptation.adapter import OnlineAdapter, Update
from llm4rec_recbole.components.adaptation.events import BadLine, Event, event_fields, read_events
from llm4rec_recbole.errors import InputError


@dataclass(frozen=True)
class Entry:
    """One accepted event, and where it was read."""

    source: str | None  # None: a stream, which cannot be read again
    line: int
    event: Event


class Journal:
    """The journal at `path`, held by one process at a time; made when it does not exist.

    Raises InputError when another process holds it, or when it is damaged other than at its end.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._cut_torn_end()
            self._last: dict[str | None, Entry] = {}
            self._count = 0
            for entry in self.entries():
                self._note(entry)
        except BaseException as error:
            self.close()
            if isinstance(error, BlockingIOError):
                raise InputError("another process is using it", file=self.path) from error
            raise

    def __len__(self) -> int:
        return self._count

    def last(self, source: str | None) -> Entry | None:
        """The last entry that came from `source`, if any did."""
        return self._last.get(source)

    def entries(self) -> Iterator[Entry]:
        """All entries, oldest first."""
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield _parse(line)
                except (ValueError, KeyError, TypeError) as error:
                    raise InputError(
                        "the journal is damaged here", file=self.path, line=number
                    ) from error

    def append(self, source: str | None, line: int, event: Event) -> None:
        """Write one entry to the disk. Raises OSError, with the journal as before, if it cannot."""
        entry = Entry(source, line, event)
        fields = {"source": source, "line": line, "event": event_fields(event)}
        data = json.dumps(fields).encode() + b"\n"
        size = os.fstat(self._handle).st_size
        try:
            if os.write(self._handle, data) != len(data):
                raise OSError(f"{self.path}: the disk took a part of the entry only")
            os.fsync(self._handle)
        except OSError:
            os.ftruncate(self._handle, size)
            raise
        self._note(entry)

    def close(self) -> None:
        """Let another process have it."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _note(self, entry: Entry) -> None:
        self._count += 1
        self._last[entry.source] = entry

    def _cut_torn_end(self) -> None:
        """Drop a last line that is no entry."""
        data = self.path.read_bytes()
        start = data.rstrip(b"\n").rfind(b"\n") + 1
        try:
            if data:
                _parse(data[start:])
        except (ValueError, KeyError, TypeError):
            os.ftruncate(self._handle, start)
            os.fsync(self._handle)


def _parse(line: bytes) -> Entry:
    """The entry in one line. Raises ValueError, KeyError or TypeError when there is none."""
    if not line.endswith(b"\n"):
        raise ValueError("the line has no end")
    fields = json.loads(line)
    return Entry(fields["source"], fields["line"], Event(**fields["event"]))


# Online learning that can be killed at any moment: no event is lost, none is learned twice.
#
#     check ─▶ journal (on the disk) ─▶ update ─▶ observe ─▶ every so often a snapshot
#
# The journal comes first. At the next start the last snapshot is loaded, and the events that the
# journal holds beyond it are learned again, in the same order: an update has no randomness, so on a
# CPU the model is what it was, to the last bit. Then the source is read on after the journal's end.


def _nothing(event: Event) -> None:
    """The default for `check` and `observe`."""


class CrashSafeAdapter:
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
        from llm4rec_recbole import checkpoints

        state = {"adapter": self.adapter.state_dict(), "journal": len(self.journal)}
        checkpoints.save(self._snapshot, state)

    def close(self) -> None:
        """Take a last snapshot and release the folder."""
        self.snapshot()
        self.journal.close()

    def __enter__(self) -> CrashSafeAdapter:
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
        from llm4rec_recbole import checkpoints

        learned = 0
        if self._snapshot.exists():
            state = checkpoints.load(self._snapshot)
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
