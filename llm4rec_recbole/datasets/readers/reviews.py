"""Reviews and items: of Amazon, 2014 and 2023, and of the Yelp Open Dataset. All are JSON lines.

Amazon 2014 (McAuley et al., SIGIR 2015), with days as times:

    reviews   {"reviewerID": "A2IB…", "asin": "1384719342", "helpful": [13, 14], "reviewText": …,
               "overall": 5.0, "summary": "good", "unixReviewTime": 1393545600, …}
    items     {'asin': '0000143561', 'title': …, 'price': 12.99, 'categories': [['Movies & TV']], …}

Amazon 2023 (Hou et al., arXiv 2403.03952), with times in milliseconds. The item is the parent: its
variants (colours, sizes) share one entry in the metadata:

    reviews   {"rating": 3.0, "title": …, "text": …, "asin": "B083…", "parent_asin": "B083…",
               "user_id": "AFKZ…", "timestamp": 1658185117948, "helpful_vote": 0, …}
    items     {"parent_asin": "B00M…", "title": …, "features": […], "description": […],
               "price": null, "categories": ["Electronics", …], "main_category": …,
               "details": {"Date First Available": "August 2, 2014", …}, …}

Yelp. The price is a range, 1 to 4. A date without a time zone is read as UTC:

    reviews   {"user_id": "Oyo…", "business_id": "7AT…", "stars": 5.0, "useful": 1, "funny": 0,
               "cool": 1, "text": …, "date": "2018-07-07 22:09:11"}
    items     {"business_id": "Pns…", "name": …, "city": …, "state": …, "categories": "A, B",
               "attributes": {"RestaurantsPriceRange2": "2", …}, …}
    users     {"user_id": "Oyo…", "yelping_since": "2009-05-02 …", "elite": "2010,2011", …}
    tips      {"user_id": …, "business_id": …, "text": …, "date": …}
    checkins  {"business_id": …, "date": "2020-03-13 21:10:56, 2020-06-02 22:18:06"}

Sales ranks, mean ratings, stars, counts of reviews, fans and compliments, and "also bought" lists
are not read: they come from all purchases and reviews, held-out ones included.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm4rec_recbole.datasets import base
from llm4rec_recbole.datasets.base import Events, LogBuilder, RawData, RawLog, RowReport
from llm4rec_recbole.datasets.events import EventWriter
from llm4rec_recbole.datasets.readers.json_lines import read_objects

if TYPE_CHECKING:
    import pandas as pd

_PRICE = re.compile(r"\$? ?(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)")
_YEAR = re.compile(r"\b(19|20)\d\d$")
_REVIEW_COLUMNS = {"summary": "string", "text": "string", "helpful": "int32", "votes": "int32"}
_BAD_DATE = "time is missing or not a date"


@dataclass(frozen=True)
class ReviewFormat:
    """Field names of a publisher's reviews and items, and functions that read the other fields."""

    user: str
    item: str  # also in the items' file
    rating: str
    time: Callable[[dict[str, Any]], float | None]  # seconds, or None
    review: Callable[[dict[str, Any]], dict[str, Any]]  # summary, text, helpful, votes or None
    describe_item: Callable[[dict[str, Any]], dict[str, Any]]  # columns of the items' table
    item_unit: str = "products"
    python_items: bool = False  # whether items may be Python literals


def read_reviews_and_items(files: dict[str, Path], staging: Path, form: ReviewFormat) -> RawData:
    """The reviews, and the items if the file is there, by their roles."""
    row_report = RowReport(files["reviews"], "reviews")
    log, reviews = _read_reviews(files["reviews"], form, row_report, staging)
    data = RawData(log, {"reviews": row_report}, events={"reviews": reviews})
    if "items" in files:
        data.row_reports["items"] = RowReport(files["items"], form.item_unit)
        rows = read_objects(files["items"], python=form.python_items)
        data.items = base.describe_entities(
            rows, data.row_reports["items"], form.item, "item_id", form.describe_item
        )
    return data


def _read_reviews(
    path: Path, form: ReviewFormat, row_report: RowReport, staging: Path
) -> tuple[RawLog, Events]:
    """The interactions of the reviews and a table of their content, in file order.

    A review without user, item, time or a rating from 1 to 5 is dropped and counted. Raises
    InputError for a line that is not a JSON object.
    """
    log, out = LogBuilder(), staging / "reviews.parquet"
    with EventWriter(out, _REVIEW_COLUMNS) as reviews:
        for line, row in read_objects(path):
            fields: list[Any] = [row.get(name) for name in (form.user, form.item, form.rating)]
            user, item, rating = fields
            time: Any = form.time(row)
            is_number = isinstance(rating, int | float) and rating is not True
            checks = {
                base.BAD_ID: base.is_valid_token(user) and base.is_valid_token(item),
                "rating is not a number from 1 to 5": is_number and 1 <= rating <= 5,
                "time is missing or not a Unix time": time is not None,
            }
            if row_report.accepts(line, checks):
                log.add(user, item, time, float(rating))
                reviews.add(user, item, time, **form.review(row))
    return log.build(), Events(out, "row")


def clean_text(value: Any) -> str | None:
    """`value` if it is a string with words. A list of strings is joined. Otherwise None."""
    if isinstance(value, list):
        value = " ".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) and value.strip() else None


def parse_count(value: Any) -> int | None:
    """`value` if it is a count below 2^31, otherwise None."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
    return value if is_count else None


def parse_price(value: Any) -> float | None:
    """A price as a number, from a number or a string such as "$1,299.00". Otherwise None."""
    if isinstance(value, str):
        match = _PRICE.fullmatch(value.strip())
        value = float(match[1].replace(",", "")) if match else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e9 else None


# Amazon


def read_products(path: Path, row_report: RowReport) -> pd.DataFrame:
    """The metadata: item_id, title, categories, description and price of each product."""
    rows = read_objects(path, python=True)
    return base.describe_entities(rows, row_report, "asin", "item_id", _item_2014)


def _review_2014(row: dict[str, Any]) -> dict[str, Any]:
    helpful = row.get("helpful")
    counts = helpful if isinstance(helpful, list) and len(helpful) == 2 else [None, None]
    return {
        "summary": clean_text(row.get("summary")),
        "text": clean_text(row.get("reviewText")),
        "helpful": parse_count(counts[0]),
        "votes": parse_count(counts[1]),
    }


def _item_2014(row: dict[str, Any]) -> dict[str, Any]:
    paths = row.get("categories")
    names = [
        html.unescape(name)
        for path in (paths if isinstance(paths, list) else [])
        for name in (path if isinstance(path, list) else [path])
        if isinstance(name, str) and name.strip()
    ]
    return {
        "title": html.unescape(clean_text(row.get("title")) or ""),
        "categories": list(dict.fromkeys(names)),
        "description": html.unescape(clean_text(row.get("description")) or ""),
        "price": parse_price(row.get("price")),
    }


def _review_2023(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": clean_text(row.get("title")),
        "text": clean_text(row.get("text")),
        "helpful": parse_count(row.get("helpful_vote")),
        "votes": None,  # votes of "not helpful" are not published
    }


def _item_2023(row: dict[str, Any]) -> dict[str, Any]:
    names = row.get("categories")
    names = names if isinstance(names, list) and names else [row.get("main_category")]
    words = clean_text(row.get("description")) or clean_text(row.get("features")) or ""
    return {
        "title": html.unescape(clean_text(row.get("title")) or ""),
        "year": _year(row.get("details")),
        "categories": [name for name in names if isinstance(name, str) and name.strip()],
        "description": html.unescape(words),
        "price": parse_price(row.get("price")),
    }


def _year(details: Any) -> str | None:
    """The year in which Amazon first offered the item."""
    first = details.get("Date First Available") if isinstance(details, dict) else None
    match = _YEAR.search(first) if isinstance(first, str) else None
    return match[0] if match else None


read_amazon_2014 = partial(
    read_reviews_and_items,
    form=ReviewFormat(
        user="reviewerID",
        item="asin",
        rating="overall",
        time=lambda row: base.parse_unix_time(row.get("unixReviewTime")),
        review=_review_2014,
        describe_item=_item_2014,
        python_items=True,
    ),
)
read_amazon_2023 = partial(
    read_reviews_and_items,
    form=ReviewFormat(
        user="user_id",
        item="parent_asin",
        rating="rating",
        time=lambda row: base.parse_unix_time(row.get("timestamp")),
        review=_review_2023,
        describe_item=_item_2023,
    ),
)


# Yelp


def parse_date(date: Any) -> float | None:
    """Unix time of a date such as "2018-07-07 22:09:11" or "2018-07-07", otherwise None."""
    try:
        time = datetime.fromisoformat(date)
        return base.parse_unix_time((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())
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


def read_yelp(files: dict[str, Path], staging: Path) -> RawData:
    """Read the reviews, and the businesses, users, tips and check-ins if the files are there."""
    form = ReviewFormat(
        user="user_id",
        item="business_id",
        rating="stars",
        time=lambda row: parse_date(row.get("date")),
        review=_review,
        describe_item=_business,
        item_unit="businesses",
    )
    data = read_reviews_and_items(files, staging, form)
    for role, unit in (("users", "users"), ("tips", "tips"), ("checkins", "check-ins")):
        if role in files:
            data.row_reports[role] = RowReport(files[role], unit)
    if "users" in files:
        rows = read_objects(files["users"])
        report = data.row_reports["users"]
        data.users = base.describe_entities(rows, report, "user_id", "user_id", _user)
    if "tips" in files:
        data.events["tips"] = _tips(data.row_reports["tips"], staging / "tips.parquet")
    if "checkins" in files:
        out = staging / "checkins.parquet"
        data.events["checkins"] = _checkins(data.row_reports["checkins"], out)
    return data


def _tips(row_report: RowReport, out: Path) -> Events:
    with EventWriter(out, {"text": "string"}) as tips:
        for line, row in read_objects(row_report.file):
            user, item, date = (row.get(name, "") for name in ("user_id", "business_id", "date"))
            time: Any = parse_date(date)
            good_ids = base.is_valid_token(user) and base.is_valid_token(item)
            if row_report.accepts(line, {base.BAD_ID: good_ids, _BAD_DATE: time is not None}):
                tips.add(user, item, time, text=clean_text(row.get("text")))
    return Events(out, "pair")


def _checkins(row_report: RowReport, out: Path) -> Events:
    """One event for each date. `row_report` counts dates."""
    with EventWriter(out, {}) as checkins:
        for line, row in read_objects(row_report.file):
            item: Any = row.get("business_id")
            for date in (clean_text(row.get("date")) or "").split(", "):
                time: Any = parse_date(date)
                checks = {base.BAD_ID: base.is_valid_token(item), _BAD_DATE: time is not None}
                if row_report.accepts(line, checks):
                    checkins.add(None, item, time)
    return Events(out, "item")
