"""What a row of MovieLens must hold, whichever file format it comes in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from llm4rec_recbole.data.raw_log import BAD_ID, LogBuilder, is_id, number_of, seconds
from llm4rec_recbole.data.tally import Tally

if TYPE_CHECKING:
    import pandas as pd

LEAST, MOST = 0.5, 5.0  # stars
BAD_RATING = "rating is no number from 0.5 to 5"
BAD_TIME = "time is missing or no Unix time"
NO_GENRES = "(no genres listed)"


def add_rating(log: LogBuilder, tally: Tally, line: int, row: Iterable[str]) -> None:
    """Add user, item, rating and time to the log, or count why not."""
    user, item, stars, when = row
    rating, time = rating_of(stars), seconds(when)
    if not (is_id(user) and is_id(item)):
        tally.drop(BAD_ID, line)
    elif rating is None:
        tally.drop(BAD_RATING, line)
    elif time is None:
        tally.drop(BAD_TIME, line)
    else:
        log.add(user, item, time, rating)


def rating_of(value: object) -> float | None:
    """A rating as a number, None where it is none or is not from 0.5 to 5."""
    rating = number_of(value)
    return rating if rating is not None and LEAST <= rating <= MOST else None


def table(rows: Iterable[tuple[int, list[str]]], tally: Tally, names: list[str]) -> pd.DataFrame:
    """The rows as a table whose first column is an id; `tally` counts rows without a new id.

    Genres, where `categories` is among the names, become lists.
    """
    import pandas as pd

    kept: dict[str, list[str]] = {}
    for line, cells in rows:
        tally.read += 1
        if not is_id(cells[0]):
            tally.drop(BAD_ID, line)
        elif cells[0] in kept:
            tally.drop("an id that came before", line)
        else:
            kept[cells[0]] = cells
    frame = pd.DataFrame(list(kept.values()), columns=names)
    if "categories" in names:
        frame["categories"] = [
            [genre for genre in genres.split("|") if genre and genre != NO_GENRES]
            for genres in frame["categories"]
        ]
    return frame
