"""An append-only journal of feedback events: what is in it was accepted, whatever happens next.

    {"source": "events.jsonl", "line": 17, "event": {"user": "7", "item": "50", ...}}

An entry is one write of one line, on the disk (fsync) before `append` returns. A crash in the
middle of it leaves a torn last line, which was never acknowledged: it is cut off at the next start.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llm4rec_recbole.components.events import Event, event_fields
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
