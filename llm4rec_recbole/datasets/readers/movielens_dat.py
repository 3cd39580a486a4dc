"""MovieLens-1M's `.dat` files: `::` between the fields, no header, ISO-8859-1.

ratings   1::1193::5::978300760                   user, movie, rating 1 to 5, seconds
items     1::Toy Story (1995)::Animation|Comedy    movie, title, genres
users     1::F::1::10::48067                       user, gender, age band, occupation, zip code
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from llm4rec_recbole.data.line_reader import read_lines
from llm4rec_recbole.datasets.base import LogBuilder, RawData
from llm4rec_recbole.datasets.readers.movielens import add_rating, table
from llm4rec_recbole.datasets.row_report import Tally
from llm4rec_recbole.datasets.spec import Source
from llm4rec_recbole.errors import InputError


def read(files: dict[str, Path], source: Source, scratch: Path) -> RawData:
    """Read the files by role: ratings, items and users, of which the last two may be missing.

    Raises InputError for a line with a wrong number of fields.
    """
    tallies = {"ratings": Tally(files["ratings"], "ratings")}
    log = LogBuilder()
    for line, row in _rows(files["ratings"], 4):
        tallies["ratings"].read += 1
        add_rating(log, tallies["ratings"], line, row)
    data = RawData(log.build(), tallies)
    if "items" in files:
        tallies["items"] = Tally(files["items"], "movies")
        names = ["item_id", "title", "categories"]
        data.items = table(_rows(files["items"], 3), tallies["items"], names)
    if "users" in files:
        tallies["users"] = Tally(files["users"], "users")
        names = ["user_id", "gender", "age", "occupation", "zip"]
        data.users = table(_rows(files["users"], 5), tallies["users"], names).drop(columns="zip")
    return data


def _rows(path: Path, n_fields: int) -> Iterator[tuple[int, list[str]]]:
    for number, line in read_lines(path, latin_1=True):
        fields = line.split("::")
        if len(fields) != n_fields:
            message = f"{len(fields)} fields, parted by '::', where there must be {n_fields}"
            raise InputError(message, file=path, line=number)
        yield number, fields
