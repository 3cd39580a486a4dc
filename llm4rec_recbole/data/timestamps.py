"""Seconds and milliseconds: which of the two a Unix time is in, and files that mix them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from llm4rec_recbole.errors import InputError

# 100,000,000,000 is the year 5138 in seconds and March 1973 in milliseconds.
MILLISECONDS = 1e11  # a Unix time from here on is in milliseconds
END_OF_TIME = 4_102_444_800.0  # the year 2100, in seconds
_SECONDS_OF_1973 = MILLISECONDS / 1000


def first_in_another_unit(times: np.ndarray) -> int | None:
    """The first row whose time is in milliseconds where those above it are in seconds, or the other
    way round; None where all of `times` (N,) are alike.

    Times of both kinds, and a factor of 100 or more between the two, is what a mixture looks like;
    times in milliseconds since some event of one's own have no such gap.
    """
    large = times >= MILLISECONDS
    if large.all() or not large.any():
        return None
    below, above = times[~large].max(), times[large].min()
    if below < _SECONDS_OF_1973 or above < 100 * below:
        return None
    return int((large != large[0]).argmax())


def another_unit(path: str | Path, line: int) -> InputError:
    """The error for a file whose times are in seconds here and in milliseconds there."""
    message = "the time is in milliseconds where others are in seconds, or the other way round"
    return InputError(message, file=path, line=line, hint="write all times in one unit")
