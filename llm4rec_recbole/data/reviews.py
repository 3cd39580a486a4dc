"""Reviews as JSON lines, whoever publishes them: the interactions, and what was written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm4rec_recbole.data.events import EventWriter
from llm4rec_recbole.data.json_lines import read_objects
from llm4rec_recbole.data.raw_log import BAD_ID, Events, LogBuilder, RawLog, is_id
from llm4rec_recbole.data.tally import Tally

CONTENT = {"summary": "string", "text": "string", "helpful": "int32", "votes": "int32"}


@dataclass(frozen=True)
class ReviewFormat:
    """The names of a review's fields, and how to read the others.

    `time` gives seconds, or None for no time; `content` the values of CONTENT, each maybe None.
    """

    user: str
    item: str
    rating: str
    time: Callable[[dict[str, Any]], float | None]
    content: Callable[[dict[str, Any]], dict[str, Any]]


def read_reviews(
    path: Path, form: ReviewFormat, tally: Tally, scratch: Path
) -> tuple[RawLog, Events]:
    """The reviews' interactions and a table of their content, in file order.

    A review without user, item, rating from 1 to 5 or time is dropped and counted. Raises
    InputError for a line that is no JSON object.
    """
    log, out = LogBuilder(), scratch / "reviews.parquet"
    with EventWriter(out, CONTENT) as reviews:
        for line, row in read_objects(path):
            tally.read += 1
            user, item, rating = (row.get(name) for name in (form.user, form.item, form.rating))
            time = form.time(row)
            if not (is_id(user) and is_id(item)):
                tally.drop(BAD_ID, line)
            elif rating is True or not (isinstance(rating, int | float) and 1 <= rating <= 5):
                tally.drop("rating is no number from 1 to 5", line)
            elif time is None:
                tally.drop("time is missing or no Unix time", line)
            else:
                log.add(user, item, time, float(rating))
                reviews.add(user, item, time, **form.content(row))
    return log.build(), Events(out, "row")
