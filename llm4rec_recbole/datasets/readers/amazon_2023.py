"""Amazon reviews of 2023 (Hou et al., arXiv 2403.03952): JSON lines, mostly gzip.

    reviews   {"rating": 3.0, "title": …, "text": …, "asin": "B083…", "parent_asin": "B083…",
               "user_id": "AFKZ…", "timestamp": 1658185117948, "helpful_vote": 0, …}
    items     {"parent_asin": "B00M…", "title": …, "features": […], "description": […],
               "price": null, "categories": ["Electronics", …], "main_category": …,
               "details": {"Date First Available": "August 2, 2014", …}, …}

The item is the parent: its variants (colours, sizes) share one entry in the metadata. Times are
milliseconds. Average ratings, their number and "bought together" lists are not read: they come from
all reviews, held-out ones included.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from llm4rec_recbole.datasets.base import RawData, parse_unix_time
from llm4rec_recbole.datasets.readers.json_lines import (
    ReviewFormat,
    clean_text,
    parse_count,
    parse_price,
    read_reviews_and_items,
)

_YEAR = re.compile(r"\b(19|20)\d\d$")


def read(files: dict[str, Path], staging: Path) -> RawData:
    """Read the reviews, and the metadata if the file is there."""
    return read_reviews_and_items(files, _FORMAT, staging)


def _review(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": clean_text(row.get("title")),
        "text": clean_text(row.get("text")),
        "helpful": parse_count(row.get("helpful_vote")),
        "votes": None,  # votes of "not helpful" are not published
    }


def _item(row: dict[str, Any]) -> dict[str, Any]:
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


_FORMAT = ReviewFormat(
    user="user_id",
    item="parent_asin",
    rating="rating",
    time=lambda row: parse_unix_time(row.get("timestamp")),
    review=_review,
    describe_item=_item,
)
