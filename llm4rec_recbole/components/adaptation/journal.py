"""Online learning that can be killed at any moment: no event is lost, none is learned twice.

    check ─▶ journal (on the disk) ─▶ update ─▶ observe ─▶ from time to time a snapshot

The journal comes first. At the next start the last snapshot is loaded, and the later events of the
journal are learned again in the same order. An update draws no random numbers, so on a CPU the
model is equal to the last bit. Then the events file is read from the line after the journal's last.

One line of the journal:

    {"sum": "9f86d081884c7d65", "entry": {"file": "/data/events.jsonl", "file_id": "2c26b46b…",
     "line": 17, "content": "fcde2b2e…", "event": {"user": "7", "item": "50", …}}}

`sum` is a hash of the previous line's sum and of this line: a changed, missing or exchanged line is
found. `file_id` is the hash of the events file up to its first event, and `content` that up to this
line: a file is recognised by its content, whatever its name. All three are null for a stream.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm4rec_recbole.components.adaptation import events
from llm4rec_recbole.components.adaptation.adapter import OnlineAdapter, Update
from llm4rec_recbole.components.adaptation.events import BadLine, Event, EventLine
from llm4rec_recbole.errors import InputError

_HEAD = b'{"sum": "'
_SUM_DIGITS = 16
_FIRST_SUM = "0" * _SUM_DIGITS  # of the line before the first
_DAMAGED = "the journal is damaged here"
_NOT_WRITTEN = (ValueError, KeyError, TypeError, RecursionError)  # by `append`


@dataclass(frozen=True)
class Entry:
    """One accepted event, and where it was read; a stream has a line number alone."""

    file: str | None
    file_id: str | None
    line: int
    content: str | None
    event: Event


class Journal:
    """The journal at `path`, held by one process at a time; it is made when it does not exist.

    One entry is one line, which is on the disk (fsync) before `append` returns. A crash during the
    write leaves a last line without its end. That entry was never acknowledged, and is removed at
    the next start. Raises InputError when another process holds the journal, and when a line is
    damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            #: The last entry from each events file, by the file's identity and by its name.
            self.last_by_id: dict[str, Entry] = {}
            self.last_by_name: dict[str, Entry] = {}
            self.newest: Entry | None = None
            self.sum = _FIRST_SUM
            self._count = 0
            self._remove_torn_end()
            for entry, entry_sum in self.entries():
                self._note(entry, entry_sum)
        except BaseException as error:
            self.close()
            if isinstance(error, BlockingIOError):
                raise InputError("another process is using it", file=self.path) from error
            raise

    def __len__(self) -> int:
        return self._count

    def entries(self) -> Iterator[tuple[Entry, str]]:
        """Yield all entries, oldest first, each with its line's sum. Raises InputError for a
        damaged line."""
        previous = _FIRST_SUM
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    entry, previous = _parse(line, previous)
                except _NOT_WRITTEN as error:
                    raise InputError(_DAMAGED, file=self.path, line=number) from error
                yield entry, previous

    def append(self, entry: Entry) -> None:
        """Write one entry to the disk. Raises OSError, with the journal as before, if it cannot."""
        fields = vars(entry) | {"event": vars(entry.event)}
        rest = b'", "entry": ' + json.dumps(fields).encode() + b"}\n"
        entry_sum = _sum(self.sum, rest)
        data = _HEAD + entry_sum.encode() + rest
        size = os.fstat(self._handle).st_size
        try:
            if os.write(self._handle, data) != len(data):
                raise OSError(f"{self.path}: the disk took a part of the entry only")
            os.fsync(self._handle)
        except OSError:
            os.ftruncate(self._handle, size)
            raise
        self._note(entry, entry_sum)

    def close(self) -> None:
        """Release the journal for another process."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _note(self, entry: Entry, entry_sum: str) -> None:
        self._count += 1
        self.newest, self.sum = entry, entry_sum
        if entry.file_id is not None and entry.file is not None:
            self.last_by_id[entry.file_id] = entry
            self.last_by_name[entry.file] = entry

    def _remove_torn_end(self) -> None:
        """Remove a last line without an end. Raises InputError where only its end is damaged: that
        entry was acknowledged."""
        data = self.path.read_bytes()
        start = data.rfind(b"\n") + 1
        if start == len(data):
            return
        lines = data.splitlines(keepends=True)
        previous = _sum_in(lines[-2]) if start else _FIRST_SUM
        try:
            _parse(data[start:-1] + b"\n", previous)
        except _NOT_WRITTEN:
            os.ftruncate(self._handle, start)
            os.fsync(self._handle)
        else:
            raise InputError(_DAMAGED, file=self.path, line=data.count(b"\n") + 1)


def _sum(previous: str, rest: bytes) -> str:
    return hashlib.sha256(previous.encode() + rest).hexdigest()[:_SUM_DIGITS]


def _sum_in(line: bytes) -> str:
    return line[len(_HEAD) : len(_HEAD) + _SUM_DIGITS].decode("latin-1")


def _parse(line: bytes, previous: str) -> tuple[Entry, str]:
    """The entry in one line, and the line's sum. previous: the sum of the line before. Raises
    ValueError, KeyError or TypeError for a line that `append` did not write."""
    entry_sum, rest = _sum_in(line), line[len(_HEAD) + _SUM_DIGITS :]
    if not line.startswith(_HEAD) or not line.endswith(b"\n") or entry_sum != _sum(previous, rest):
        raise ValueError("the sum does not match the line")
    fields = json.loads(line)["entry"]
    return Entry(**fields | {"event": events.event_from(fields["event"])}), entry_sum


class CrashSafeAdapter:
    """An OnlineAdapter whose progress is saved in `folder`: journal.jsonl, snapshot.safetensors.

    adapter: made on the model as it was before any event. check(event): raises InputError for an
    event that the model cannot learn from, which is reported as a bad line. observe(event): called
    once for each accepted event after its update, events of earlier runs included; the caller
    extends the user's history there. report(message): receives what a person should know. Raises
    InputError when `folder` is in use, damaged, or of another model or other settings.
    """

    def __init__(
        self,
        adapter: OnlineAdapter,
        folder: str | Path,
        *,
        check: Callable[[Event], Any] = lambda event: None,
        observe: Callable[[Event], Any] = lambda event: None,
        report: Callable[[str], Any] = lambda message: None,
        snapshot_every: int = 100,
    ) -> None:
        self.adapter, self._check, self._observe = adapter, check, observe
        self._report, self.snapshot_every = report, snapshot_every
        self._snapshot = Path(folder) / "snapshot.safetensors"
        self.journal = Journal(Path(folder) / "journal.jsonl")
        try:
            self._resume()
        except BaseException:
            self.journal.close()
            raise

    def feed(
        self, lines: Iterable[bytes], file: str | None = None
    ) -> Iterator[tuple[int, Update | BadLine]]:
        """Learn from each event in `lines` that is not in the journal; yield each result.

        file: the name of the events file, which is read from the line after the last one in the
        journal; None for a stream, whose lines are all new. Raises InputError when the file has
        changed.
        """
        waiting: list[BadLine] = []  # bad lines before the first event, until the file is known
        file_id: str | None = None
        last: Entry | None = None  # the last line that was learned, until the reading is there
        for line in events.read_events(lines):
            if file is not None and file_id is None:
                if isinstance(line.event, BadLine):
                    waiting.append(line.event)
                    continue
                file_id = line.content
                last = self._last_entry(file, file_id)
                if last is None:
                    yield from ((bad.line, bad) for bad in waiting)
                    waiting = []
            if last is not None:
                if line.number < last.line:
                    continue
                if line.number > last.line or line.content != last.content:
                    break
                last = None  # the next lines are new
                continue
            length = len(self.journal)
            yield line.number, self._accept(line, file, file_id)
            if len(self.journal) > length and len(self.journal) % self.snapshot_every == 0:
                self.snapshot()
        if last is None and file is not None and file_id is None:
            last = self.journal.last_by_name.get(file)  # it has no event any more
            if last is None:
                yield from ((bad.line, bad) for bad in waiting)
        if last is not None:
            raise _changed(str(file), last)

    def _last_entry(self, file: str, file_id: str) -> Entry | None:
        """Return the entry after which the file is read on, None for a new file."""
        last = self.journal.last_by_id.get(file_id)
        if last is None:
            same_name = self.journal.last_by_name.get(file)
            if same_name is not None:
                raise _changed(file, same_name)
        elif last.file != file:
            self._report(
                f"{file} begins as {last.file}, whose events were learned up to line {last.line}: "
                f"reading goes on after line {last.line}"
            )
        return last

    def _accept(self, line: EventLine, file: str | None, file_id: str | None) -> Update | BadLine:
        """Write the line's event to the journal and learn from it, unless it is a bad line."""
        if isinstance(line.event, BadLine):
            return line.event
        try:
            self._check(line.event)
        except InputError as error:
            return BadLine(line.number, str(error))
        content = None if file is None else line.content
        self.journal.append(Entry(file, file_id, line.number, content, line.event))
        return self._learn(line.number, line.event)

    def snapshot(self) -> None:
        """Save the state after the journal's last event, atomically, for a quicker next start."""
        from llm4rec_recbole import checkpoints

        position = {"journal": len(self.journal), "journal_sum": self.journal.sum}
        checkpoints.save(self._snapshot, {"adapter": self.adapter.state_dict()} | position)

    def close(self) -> None:
        """Take a last snapshot and release the folder."""
        self.snapshot()
        self.journal.close()

    def __enter__(self) -> CrashSafeAdapter:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.journal.close() if error else self.close()

    def _learn(self, number: int, event: Event) -> Update | BadLine:
        try:
            result: Update | BadLine = self.adapter.update(event)
        except FloatingPointError as error:  # the event stays in the journal, and fails again there
            result = BadLine(number, str(error))
        self._observe(event)
        return result

    def _resume(self) -> None:
        """Load the snapshot, and learn the journal's later events again."""
        learned, learned_sum = self._load_snapshot()
        if learned > len(self.journal):
            raise InputError("older than the snapshot beside it", file=self.journal.path)
        for number, (entry, entry_sum) in enumerate(self.journal.entries(), 1):
            try:
                self._check(entry.event)
            except InputError as error:
                message = f"{_DAMAGED}: {error.message}"
                raise InputError(message, file=self.journal.path, line=number) from error
            if number == learned and entry_sum != learned_sum:
                message = "not the journal of the snapshot beside it"
                raise InputError(message, file=self.journal.path)
            if number <= learned:
                self._observe(entry.event)
            else:
                self._learn(entry.line, entry.event)

    def _load_snapshot(self) -> tuple[int, str]:
        """Load the adapter's state; return the journal's length then, and its last sum."""
        from llm4rec_recbole import checkpoints

        if not self._snapshot.exists():
            return 0, _FIRST_SUM
        state = checkpoints.load(self._snapshot)
        try:
            self.adapter.load_state_dict(state["adapter"])
            return state["journal"], state["journal_sum"]
        except ValueError as error:
            raise InputError(str(error), file=self._snapshot) from error
        except (KeyError, TypeError) as error:
            raise InputError("not a snapshot of this version", file=self._snapshot) from error


def _changed(file: str, last: Entry) -> InputError:
    if file == last.file:
        message, hint = "changed since it was read", "give a new file a new name"
    else:
        message = (
            f"its first event was learned from {last.file}, but later lines differ or are missing"
        )
        hint = "give only the events that are new, or all as a stream"
    return InputError(message, file=file, line=last.line, hint=hint)
