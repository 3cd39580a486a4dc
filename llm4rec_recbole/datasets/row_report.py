"""What became of each row of a raw file: kept, or dropped for a reason that is counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Tally:
    """Counts for one raw file; `unit` is what a row of it is. Always: read = kept + dropped.

    `blank` counts, beside them, the kept ids of which the file says nothing: their rows are blank.
    The file is named by its path from the folder `raw`, so that one that lies elsewhere shows.
    """

    file: Path
    unit: str = "rows"
    read: int = 0
    blank: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    first_line: dict[str, int] = field(default_factory=dict)  # of each reason, where it is known
    raw: Path | None = None

    @property
    def name(self) -> str:
        return self.file.name if self.raw is None else self.file.relative_to(self.raw).as_posix()

    @property
    def kept(self) -> int:
        return self.read - sum(self.dropped.values())

    def drop(self, reason: str, line: int | None = None, count: int = 1) -> None:
        """Count `count` rows that were read and are not kept; `line` is the first one's."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count
            if line is not None:
                self.first_line.setdefault(reason, line)

    def as_json(self) -> dict[str, Any]:
        """For `raw.json`, by file name."""
        return {
            "unit": self.unit,
            "read": self.read,
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            **({"blank": self.blank} if self.blank else {}),
        }

    def __str__(self) -> str:
        """`ratings.dat: 5 ratings read, 3 kept, 2 dropped: rating is not >= 4 (2, first line 3)`"""
        counts = f"{self.name}: {self.read:,} {self.unit} read, {self.kept:,} kept"
        if self.blank:
            counts += f" and {self.blank:,} blank, of which it says nothing"
        if not self.dropped:
            return counts
        reasons = [
            f"{reason} ({count:,}" + (f", first in line {line})" if line else ")")
            for reason, count in sorted(self.dropped.items())
            for line in [self.first_line.get(reason)]
        ]
        return f"{counts}, {self.read - self.kept:,} dropped: {'; '.join(reasons)}"
