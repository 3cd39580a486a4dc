"""MovieLens-1M's `.dat` files: `::` between the fields, no header, ISO-8859-1.

ratings   1::1193::5::978300760                   user, movie, rating 1 to 5, seconds
movies    1::Toy Story (1995)::Animation|Comedy    movie, title, genres
users     1::F::1::10::48067                       user, gender, age band, occupation, zip code
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from llm4rec_recbole.data.lines import read_lines
from llm4rec_recbole.data.raw_log import LogBuilder, RawData, RawLog, is_id, seconds
from llm4rec_recbole.data.source import Source
from llm4rec_recbole.data.tally import Tally
from llm4rec_recbole.errors import InputError

RATINGS = (0.5, 5.0)  # least and most


def read(files: dict[str, Path], source: Source, scratch: Path) -> RawData:
    """Read the files by role: ratings, movies and users, of which the last two may be missing.

    Raises InputError for a line with a wrong number of fields.
    """
    tallies = {"ratings": Tally(files["ratings"], "ratings")}
    data = RawData(_ratings(files["ratings"], tallies["ratings"]), tallies)
    if "items" in files:
        tallies["items"] = Tally(files["items"], "movies")
        data.items = _table(files["items"], tallies["items"], ["item_id", "title", "categories"])
        data.items["categories"] = data.items["categories"].str.split("|")
    if "users" in files:
        tallies["users"] = Tally(files["users"], "users")
        names = ["user_id", "gender", "age", "occupation", "zip"]
        data.users = _table(files["users"], tallies["users"], names).drop(columns="zip")
    return data


def _ratings(path: Path, tally: Tally) -> RawLog:
    log = LogBuilder()
    for number, (user, item, stars, when) in _rows(path, tally, 4):
        time, rating = seconds(when), _rating(stars)
        if not (is_id(user) and is_id(item)):
            tally.drop("an id is missing", number)
        elif rating is None:
            tally.drop("rating is no number from 0.5 to 5", number)
        elif time is None:
            tally.drop("time is missing or no Unix time", number)
        else:
            log.add(user, item, time, rating)
    return log.build()


def _rating(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if RATINGS[0] <= value <= RATINGS[1] else None


def _table(path: Path, tally: Tally, names: list[str]) -> pd.DataFrame:
    seen: dict[str, list[str]] = {}
    for number, fields in _rows(path, tally, len(names)):
        if fields[0] in seen:
            tally.drop("an id that came before", number)
        elif not is_id(fields[0]):
            tally.drop("an id is missing", number)
        else:
            seen[fields[0]] = fields
    return pd.DataFrame(list(seen.values()), columns=names)


def _rows(path: Path, tally: Tally, n_fields: int) -> Iterator[tuple[int, list[str]]]:
    for number, line in read_lines(path, latin_1=True):
        fields = line.split("::")
        if len(fields) != n_fields:
            message = f"{len(fields)} fields, parted by '::', where there must be {n_fields}"
            raise InputError(message, file=path, line=number)
        tally.read += 1
        yield number, fields
