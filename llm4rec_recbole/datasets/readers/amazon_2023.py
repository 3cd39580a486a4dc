"""Amazon reviews as published in 2023 (Hou et al., arXiv 2403.03952): JSON lines, mostly gzip.

    reviews   {"rating": 3.0, "title": …, "text": …, "asin": "B083…", "parent_asin": "B083…",
               "user_id": "AFKZ…", "timestamp": 1658185117948, "helpful_vote": 0, …}
    items     {"parent_asin": "B00M…", "title": …, "features": […], "description": […],
               "price": null, "categories": ["Electronics", …], "main_category": …,
               "details": {"Date First Available": "August 2, 2014", …}, …}

The item is the parent: its variants (colours, sizes) share one entry in the metadata. Times are
milliseconds. Average ratings, their number and what was bought together come from everybody's
reviews, held-out ones included, and are not read.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from llm4rec_recbole.datasets.base import RawData, seconds
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

_YEAR = re.compile(r"\b(19|20)\d\d$")


def read(files: dict[str, Path], source: Source, scratch: Path) -> RawData:
    """Read the reviews, and the metadata where it is there."""
    tallies = {"reviews": Tally(files["reviews"], "reviews")}
    log, reviews = read_reviews(files["reviews"], _FORMAT, tallies["reviews"], scratch)
    data = RawData(log, tallies, events={"reviews": reviews})
    if "items" in files:
        tallies["items"] = Tally(files["items"], "products")
        rows = read_objects(files["items"])
        data.items = table(rows, tallies["items"], "parent_asin", "item_id", _item)
    return data


def _review(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": text_of(row.get("title")),
        "text": text_of(row.get("text")),
        "helpful": count_of(row.get("helpful_vote")),
        "votes": None,  # how many found it unhelpful is not told
    }


def _item(row: dict[str, Any]) -> dict[str, Any]:
    names = row.get("categories")
    names = names if isinstance(names, list) and names else [row.get("main_category")]
    words = text_of(row.get("description")) or text_of(row.get("features")) or ""
    return {
        "title": html.unescape(text_of(row.get("title")) or ""),
        "year": _year(row.get("details")),
        "categories": [name for name in names if isinstance(name, str) and name.strip()],
        "description": html.unescape(words),
        "price": price_of(row.get("price")),
    }


def _year(details: Any) -> str | None:
    """The year in which Amazon first offered the item."""
    first = details.get("Date First Available") if isinstance(details, dict) else None
    match = _YEAR.search(first) if isinstance(first, str) else None
    return match[0] if match else None


_FORMAT = ReviewFormat(
    user="user_id",
    item="parent_asin",
    rating="rating",
    time=lambda row: seconds(row.get("timestamp")),
    content=_review,
)
