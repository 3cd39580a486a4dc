"""MovieLens-1M's `.dat` files: `::` between the fields, no header, ISO-8859-1.

ratings   1::1193::5::978300760                   user, movie, rating 1 to 5, seconds
items     1::Toy Story (1995)::Animation|Comedy    movie, title, genres
users     1::F::1::10::48067                       user, gender, age band, occupation, zip code
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from llm4rec_recbole.data.line_reader import read_lines
from llm4rec_recbole.datasets.base import LogBuilder, RawData, RowReport, describe_entities
from llm4rec_recbole.datasets.readers.movielens import add_rating, describe_movie
from llm4rec_recbole.errors import InputError


def read(files: dict[str, Path], staging: Path) -> RawData:
    """Read ratings, and movies and users if the files are there.

    Raises InputError for a line with a wrong number of fields.
    """
    row_report, log = RowReport(files["ratings"], "ratings"), LogBuilder()
    for line, row in _rows(files["ratings"], ("user", "item", "rating", "time")):
        row_report.read += 1
        add_rating(log, row_report, line, row.values())
    data = RawData(log.build(), {"ratings": row_report})
    if "items" in files:
        row_report = data.row_reports["items"] = RowReport(files["items"], "movies")
        rows = _rows(files["items"], ("movieId", "title", "genres"))
        data.items = describe_entities(rows, row_report, "movieId", "item_id", describe_movie)
    if "users" in files:
        row_report = data.row_reports["users"] = RowReport(files["users"], "users")
        rows = _rows(files["users"], ("user", "gender", "age", "occupation", "zip"))
        data.users = describe_entities(rows, row_report, "user", "user_id", _user)
    return data


def _user(row: dict[str, str]) -> dict[str, str | None]:
    return {name: row.get(name) for name in ("gender", "age", "occupation")}


def _rows(path: Path, names: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in read_lines(path, latin_1=True):
        fields = line.split("::")
        if len(fields) != len(names):
            message = f"{len(fields)} fields, separated by '::', instead of {len(names)}"
            raise InputError(message, file=path, line=number)
        yield number, dict(zip(names, fields))
