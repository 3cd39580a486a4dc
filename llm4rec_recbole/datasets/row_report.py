"""Counts of what became of each row of a raw file: used, or dropped for a stated reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class RowReport:
    """Counts for one raw file. Always: read = remaining + dropped.

    The report names the file by its path relative to `root`, the folder of the raw files.
    """

    file: Path
    unit: str = "rows"  # what one row is
    read: int = 0
    blank: int = 0  # ids with an interaction that the file does not describe: blank rows are added
    dropped: dict[str, int] = field(default_factory=dict)  # reason → rows
    first_line: dict[str, int] = field(default_factory=dict)  # reason → line, where it is known
    root: Path | None = None

    @property
    def name(self) -> str:
        return self.file.name if self.root is None else self.file.relative_to(self.root).as_posix()

    @property
    def remaining(self) -> int:
        return self.read - sum(self.dropped.values())

    def drop(self, reason: str, line: int | None = None, count: int = 1) -> None:
        """Count `count` rows that are read but not used. `line` is the first one's."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count
            if line is not None:
                self.first_line.setdefault(reason, line)

    def as_json(self) -> dict[str, Any]:
        """The counts for raw.json."""
        return {
            "unit": self.unit,
            "read": self.read,
            "kept": self.remaining,
            "dropped": dict(sorted(self.dropped.items())),
            **({"blank": self.blank} if self.blank else {}),
        }

    def __str__(self) -> str:
        """`x.dat: 5 ratings read, 3 kept, 2 dropped: rating is not >=4 (2, first in line 3)`"""
        counts = f"{self.name}: {self.read:,} {self.unit} read, {self.remaining:,} kept"
        if self.blank:
            counts += f", {self.blank:,} blank rows added for ids that it does not describe"
        if not self.dropped:
            return counts
        reasons = [
            f"{reason} ({count:,}" + (f", first in line {line})" if line else ")")
            for reason, count in sorted(self.dropped.items())
            for line in [self.first_line.get(reason)]
        ]
        return f"{counts}, {self.read - self.remaining:,} dropped: {'; '.join(reasons)}"
