"""Units of Unix times (seconds to nanoseconds), and files that mix two of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from llm4rec_recbole.errors import InputError

UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds")
#: The least time in each unit but the first: March 1973. One unit smaller, it is the year 5138.
STARTS = (1e11, 1e14, 1e17)
MILLISECONDS = STARTS[0]
END_OF_TIME = 4_102_444_800.0  # the year 2100, in seconds
_GAP = 100  # the least factor between times of two units


def first_unit_change(times: np.ndarray) -> int | None:
    """The first row of `times` (N,) in another unit than row 0; None when all have one unit.

    Two units are in use where times lie on both sides of a start, with a gap of a factor of 100
    between them. Those below the start are after March 1973 in the smaller unit. Times that count
    from another event than 1970, in any unit, have no such gap.
    """
    if not len(times) or times.max() < STARTS[0]:
        return None
    for start in STARTS:
        large = times >= start
        if large.any() and not large.all():
            below, above = times[~large].max(), times[large].min()
            if below >= start / 1000 and above >= _GAP * below:
                return int((_units(times) != _units(times[:1])).argmax())
    return None


def mixed_units_error(path: str | Path, line: int, first: float, other: float) -> InputError:
    """The error for a file whose first time is in one unit and whose time at `line` in another."""
    units = [UNITS[int(_units(np.array([time]))[0])] for time in (other, first)]
    message = f"the time is in {units[0]}, but the times above it are in {units[1]}"
    return InputError(message, file=path, line=line, hint="write all times in one unit")


def _units(times: np.ndarray) -> np.ndarray:
    """The number of each time's unit in UNITS, (N,)."""
    return np.searchsorted(np.array(STARTS), times, side="right")
