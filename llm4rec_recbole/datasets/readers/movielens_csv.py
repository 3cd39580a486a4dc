"""MovieLens' `.csv` files, as in ml-25m, ml-20m and ml-latest(-small), in UTF-8.

    ratings   userId,movieId,rating,timestamp      rating 0.5 to 5, seconds
    items     movieId,title,genres                 11,"American President, The (1995)",Comedy|Drama
    tags      userId,movieId,tag,timestamp         what users wrote about movies

The genome (learnt from all ratings and tags) and the links are not read: they must not reach an
item's content before the data is split.
"""

from __future__ import annotations

from pathlib import Path

from llm4rec_recbole.data.line_reader import read_rows
from llm4rec_recbole.datasets.base import (
    BAD_ID,
    Events,
    RawData,
    RowReport,
    describe_entities,
    is_valid_token,
    parse_unix_time,
)
from llm4rec_recbole.datasets.events import EventWriter
from llm4rec_recbole.datasets.readers.movielens import BAD_TIME, describe_movie, read_ratings


def read(files: dict[str, Path], staging: Path) -> RawData:
    """Read ratings, and movies and tags if the files are there.

    Raises InputError for a row with a wrong number of cells.
    """
    row_report = RowReport(files["ratings"], "ratings")
    data = RawData(read_ratings(files["ratings"], row_report), {"ratings": row_report})
    if "items" in files:
        row_report = data.row_reports["items"] = RowReport(files["items"], "movies")
        columns = ["movieId", "title", "genres"]
        rows = ((n, dict(zip(columns, row))) for n, row in read_rows(files["items"], columns))
        data.items = describe_entities(rows, row_report, "movieId", "item_id", describe_movie)
    if "tags" in files:
        row_report = data.row_reports["tags"] = RowReport(files["tags"], "tags")
        data.events["tags"] = _tags(files["tags"], row_report, staging / "tags.parquet")
    return data


def _tags(path: Path, row_report: RowReport, out: Path) -> Events:
    columns = ["userId", "movieId", "tag", "timestamp"]
    with EventWriter(out, {"tag": "string"}) as tags:
        for line, (user, item, tag, timestamp) in read_rows(path, columns):
            row_report.read += 1
            time = parse_unix_time(timestamp)
            if not (is_valid_token(user) and is_valid_token(item)):
                row_report.drop(BAD_ID, line)
            elif not tag.strip():
                row_report.drop("the tag is empty", line)
            elif time is None:
                row_report.drop(BAD_TIME, line)
            else:
                tags.add(user, item, time, tag=tag.strip())
    return Events(out, "pair")
