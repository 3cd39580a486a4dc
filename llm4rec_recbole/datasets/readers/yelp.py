"""The Yelp Open Dataset: JSON lines.

    reviews    {"user_id": "Oyo…", "business_id": "7AT…", "stars": 5.0, "useful": 1, "funny": 0,
                "cool": 1, "text": …, "date": "2018-07-07 22:09:11"}
    items      {"business_id": "Pns…", "name": …, "city": …, "state": …, "categories": "A, B",
                "attributes": {"RestaurantsPriceRange2": "2", …}, …}
    users      {"user_id": "Oyo…", "yelping_since": "2009-05-02 …", "elite": "2010,2011", …}
    tips       {"user_id": …, "business_id": …, "text": …, "date": …}
    checkins   {"business_id": …, "date": "2020-03-13 21:10:56, 2020-06-02 22:18:06"}

The price is Yelp's range, 1 to 4. Stars and counts of reviews, fans and compliments come from
everybody's reviews, held-out ones included, and are not read. Dates name no time zone and are
taken for UTC, which keeps their order; one that names its zone is taken at its word.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm4rec_recbole.datasets.base import BAD_ID, Events, EventWriter, RawData, is_id, seconds
from llm4rec_recbole.datasets.readers.json_lines import (
    ReviewFormat,
    count_of,
    price_of,
    read_objects,
    read_reviews,
    table,
    text_of,
)
from llm4rec_recbole.datasets.row_report import Tally
from llm4rec_recbole.datasets.spec import Source


def read(files: dict[str, Path], source: Source, scratch: Path) -> RawData:
    """Read the reviews, and businesses, users, tips and check-ins where they are there."""
    units = {"reviews": "reviews", "items": "businesses", "users": "users", "tips": "tips"}
    units["checkins"] = "check-ins"
    tallies = {role: Tally(files[role], unit) for role, unit in units.items() if role in files}
    log, reviews = read_reviews(files["reviews"], _FORMAT, tallies["reviews"], scratch)
    data = RawData(log, tallies, events={"reviews": reviews})
    if "items" in files:
        rows = read_objects(files["items"])
        data.items = table(rows, tallies["items"], "business_id", "item_id", _business)
    if "users" in files:
        rows = read_objects(files["users"])
        data.users = table(rows, tallies["users"], "user_id", "user_id", _user)
    if "tips" in files:
        data.events["tips"] = _tips(files["tips"], tallies["tips"], scratch / "tips.parquet")
    if "checkins" in files:
        out = scratch / "checkins.parquet"
        data.events["checkins"] = _checkins(files["checkins"], tallies["checkins"], out)
    return data


def time_of(date: Any) -> float | None:
    """Seconds of a date such as "2018-07-07 22:09:11" or "2018-07-07", None for any other."""
    try:
        time = datetime.fromisoformat(date)
        return seconds((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())
    except (TypeError, ValueError, OverflowError):
        return None


def _review(row: dict[str, Any]) -> dict[str, Any]:
    helpful = count_of(row.get("useful"))
    return {"summary": None, "text": text_of(row.get("text")), "helpful": helpful, "votes": None}


def _business(row: dict[str, Any]) -> dict[str, Any]:
    attributes, names = row.get("attributes"), text_of(row.get("categories")) or ""
    place = [text for field in ("city", "state") if (text := text_of(row.get(field)))]
    levels = attributes if isinstance(attributes, dict) else {}
    return {
        "title": text_of(row.get("name")) or "",
        "categories": [name.strip() for name in names.split(",") if name.strip()],
        "description": ", ".join(place),
        "price": price_of(levels.get("RestaurantsPriceRange2")),
    }


def _user(row: dict[str, Any]) -> dict[str, Any]:
    """Since which year the user is there, and whether Yelp ever called the user elite."""
    since = time_of(row.get("yelping_since"))
    year = None if since is None else str(datetime.fromtimestamp(since, UTC).year)
    elite = row.get("elite")
    return {"since": year, "elite": None if elite is None else "yes" if elite else "no"}


def _tips(path: Path, tally: Tally, out: Path) -> Events:
    with EventWriter(out, {"text": "string"}) as tips:
        for line, row in read_objects(path):
            tally.read += 1
            user, item, time = row.get("user_id"), row.get("business_id"), time_of(row.get("date"))
            if not (is_id(user) and is_id(item)):
                tally.drop(BAD_ID, line)
            elif time is None:
                tally.drop("time is missing or no date", line)
            else:
                tips.add(user, item, time, text=text_of(row.get("text")))
    return Events(out, "pair")


def _checkins(path: Path, tally: Tally, out: Path) -> Events:
    """One event for each date; `tally` counts dates."""
    with EventWriter(out, {}) as checkins:
        for line, row in read_objects(path):
            dates = (text_of(row.get("date")) or "").split(", ")
            tally.read += len(dates)
            if not is_id(row.get("business_id")):
                tally.drop(BAD_ID, line, len(dates))
                continue
            for time in map(time_of, dates):
                if time is None:
                    tally.drop("time is missing or no date", line)
                else:
                    checkins.add(None, row["business_id"], time)
    return Events(out, "item")


_FORMAT = ReviewFormat(
    user="user_id",
    item="business_id",
    rating="stars",
    time=lambda row: time_of(row.get("date")),
    content=_review,
)
