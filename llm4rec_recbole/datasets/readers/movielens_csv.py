"""MovieLens' `.csv` files, as in ml-25m, ml-20m and ml-latest(-small), in UTF-8.

    ratings   userId,movieId,rating,timestamp      rating 0.5 to 5, seconds
    items     movieId,title,genres                 11,"American President, The (1995)",Comedy|Drama
    tags      userId,movieId,tag,timestamp         what users wrote of movies

The genome (learnt from everybody's ratings and tags) and links are not read: nothing of them may
reach an item's content before the data is split.
"""

from __future__ import annotations

from pathlib import Path

from llm4rec_recbole.data.line_reader import read_rows
from llm4rec_recbole.datasets.base import BAD_ID, Events, EventWriter, RawData, is_id, seconds
from llm4rec_recbole.datasets.readers.movielens import BAD_TIME, read_ratings, table
from llm4rec_recbole.datasets.row_report import Tally
from llm4rec_recbole.datasets.spec import Source


def read(files: dict[str, Path], source: Source, scratch: Path) -> RawData:
    """Read the files by role: ratings, items and tags, of which the last two may be missing.

    Raises InputError for a row with a wrong number of cells.
    """
    tallies = {"ratings": Tally(files["ratings"], "ratings")}
    data = RawData(read_ratings(files["ratings"], tallies["ratings"]), tallies)
    if "items" in files:
        tallies["items"] = Tally(files["items"], "movies")
        rows = read_rows(files["items"], ["movieId", "title", "genres"])
        data.items = table(rows, tallies["items"], ["item_id", "title", "categories"])
    if "tags" in files:
        tallies["tags"] = Tally(files["tags"], "tags")
        data.events["tags"] = _tags(files["tags"], tallies["tags"], scratch / "tags.parquet")
    return data


def _tags(path: Path, tally: Tally, out: Path) -> Events:
    columns = ["userId", "movieId", "tag", "timestamp"]
    with EventWriter(out, {"tag": "string"}) as tags:
        for line, (user, item, tag, when) in read_rows(path, columns):
            tally.read += 1
            time = seconds(when)
            if not (is_id(user) and is_id(item)):
                tally.drop(BAD_ID, line)
            elif not tag.strip():
                tally.drop("the tag is empty", line)
            elif time is None:
                tally.drop(BAD_TIME, line)
            else:
                tags.add(user, item, time, tag=tag.strip())
    return Events(out, "pair")
