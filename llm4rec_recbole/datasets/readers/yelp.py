"""The Yelp Open Dataset: JSON lines.

    reviews    {"user_id": "Oyo…", "business_id": "7AT…", "stars": 5.0, "useful": 1, "funny": 0,
                "cool": 1, "text": …, "date": "2018-07-07 22:09:11"}
    items      {"business_id": "Pns…", "name": …, "city": …, "state": …, "categories": "A, B",
                "attributes": {"RestaurantsPriceRange2": "2", …}, …}
    users      {"user_id": "Oyo…", "yelping_since": "2009-05-02 …", "elite": "2010,2011", …}
    tips       {"user_id": …, "business_id": …, "text": …, "date": …}
    checkins   {"business_id": …, "date": "2020-03-13 21:10:56, 2020-06-02 22:18:06"}

The price is Yelp's range, 1 to 4. Stars and counts of reviews, fans and compliments are not read:
they come from all reviews, held-out ones included. A date without a time zone is read as UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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
from llm4rec_recbole.datasets.readers.json_lines import (
    ReviewFormat,
    clean_text,
    parse_count,
    parse_price,
    read_objects,
    read_reviews_and_items,
)

_BAD_DATE = "time is missing or not a date"


def read(files: dict[str, Path], staging: Path) -> RawData:
    """Read the reviews, and the businesses, users, tips and check-ins if the files are there."""
    data = read_reviews_and_items(files, staging, _FORMAT)
    for role, unit in (("users", "users"), ("tips", "tips"), ("checkins", "check-ins")):
        if role not in files:
            continue
        row_report = data.row_reports[role] = RowReport(files[role], unit)
        out = staging / f"{role}.parquet"
        if role == "users":
            rows = read_objects(files["users"])
            data.users = describe_entities(rows, row_report, "user_id", "user_id", _user)
        elif role == "tips":
            data.events["tips"] = _tips(files["tips"], row_report, out)
        else:
            data.events["checkins"] = _checkins(files["checkins"], row_report, out)
    return data


def parse_date(date: Any) -> float | None:
    """Unix time of a date such as "2018-07-07 22:09:11" or "2018-07-07", otherwise None."""
    try:
        time = datetime.fromisoformat(date)
        return parse_unix_time((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())
    except (TypeError, ValueError, OverflowError):
        return None


def _review(row: dict[str, Any]) -> dict[str, Any]:
    helpful = parse_count(row.get("useful"))
    text = clean_text(row.get("text"))
    return {"summary": None, "text": text, "helpful": helpful, "votes": None}


def _business(row: dict[str, Any]) -> dict[str, Any]:
    attributes, names = row.get("attributes"), clean_text(row.get("categories")) or ""
    city, state = (clean_text(row.get(field)) or "" for field in ("city", "state"))
    levels = attributes if isinstance(attributes, dict) else {}
    return {
        "title": clean_text(row.get("name")) or "",
        "categories": [name.strip() for name in names.split(",") if name.strip()],
        "description": ", ".join(filter(None, (city, state))),
        "city": city,
        "state": state,
        "price": parse_price(levels.get("RestaurantsPriceRange2")),
    }


def _user(row: dict[str, Any]) -> dict[str, Any]:
    """The year in which the user joined, and whether Yelp ever made the user elite."""
    since = parse_date(row.get("yelping_since"))
    year = None if since is None else str(datetime.fromtimestamp(since, UTC).year)
    elite = row.get("elite")
    return {"since": year, "elite": None if elite is None else "yes" if elite else "no"}


def _tips(path: Path, row_report: RowReport, out: Path) -> Events:
    with EventWriter(out, {"text": "string"}) as tips:
        for line, row in read_objects(path):
            row_report.read += 1
            user, item, time = (
                row.get("user_id"),
                row.get("business_id"),
                parse_date(row.get("date")),
            )
            if not (is_valid_token(user) and is_valid_token(item)):
                row_report.drop(BAD_ID, line)
            elif time is None:
                row_report.drop(_BAD_DATE, line)
            else:
                tips.add(user, item, time, text=clean_text(row.get("text")))
    return Events(out, "pair")


def _checkins(path: Path, row_report: RowReport, out: Path) -> Events:
    """One event for each date. `row_report` counts dates."""
    with EventWriter(out, {}) as checkins:
        for line, row in read_objects(path):
            dates = (clean_text(row.get("date")) or "").split(", ")
            row_report.read += len(dates)
            if not is_valid_token(row.get("business_id")):
                row_report.drop(BAD_ID, line, len(dates))
                continue
            for time in map(parse_date, dates):
                if time is None:
                    row_report.drop(_BAD_DATE, line)
                else:
                    checkins.add(None, row["business_id"], time)
    return Events(out, "item")


_FORMAT = ReviewFormat(
    user="user_id",
    item="business_id",
    rating="stars",
    time=lambda row: parse_date(row.get("date")),
    review=_review,
    describe_item=_business,
    item_unit="businesses",
)
