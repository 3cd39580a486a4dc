"""Amazon reviews of 2014 (McAuley et al., SIGIR 2015) and of 2023 (Hou et al., arXiv 2403.03952).

JSON lines, mostly gzip. 2014:

    reviews   {"reviewerID": "A2IB…", "asin": "1384719342", "helpful": [13, 14], "reviewText": …,
               "overall": 5.0, "summary": "good", "unixReviewTime": 1393545600, …}
    items     {'asin': '0000143561', 'title': …, 'price': 12.99, 'categories': [['Movies & TV']], …}

2023, with times in milliseconds:

    reviews   {"rating": 3.0, "title": …, "text": …, "asin": "B083…", "parent_asin": "B083…",
               "user_id": "AFKZ…", "timestamp": 1658185117948, "helpful_vote": 0, …}
    items     {"parent_asin": "B00M…", "title": …, "features": […], "description": […],
               "price": null, "categories": ["Electronics", …], "main_category": …,
               "details": {"Date First Available": "August 2, 2014", …}, …}

In 2014 times are days. In 2023 the item is the parent: its variants (colours, sizes) share one
entry in the metadata. Sales ranks, average ratings, their number, and "also bought" lists are not
read: they come from all purchases and reviews, held-out ones included.
"""

from __future__ import annotations

import html
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm4rec_recbole.datasets.base import RowReport, describe_entities, parse_unix_time
from llm4rec_recbole.datasets.readers.json_lines import (
    ReviewFormat,
    clean_text,
    parse_count,
    parse_price,
    read_objects,
    read_reviews_and_items,
)

if TYPE_CHECKING:
    import pandas as pd

_YEAR = re.compile(r"\b(19|20)\d\d$")


def read_products(path: Path, row_report: RowReport) -> pd.DataFrame:
    """The metadata: item_id, title, categories, description and price of each product."""
    rows = read_objects(path, python=True)
    return describe_entities(rows, row_report, "asin", "item_id", _item_2014)


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


read_2014 = partial(
    read_reviews_and_items,
    form=ReviewFormat(
        user="reviewerID",
        item="asin",
        rating="overall",
        time=lambda row: parse_unix_time(row.get("unixReviewTime")),
        review=_review_2014,
        describe_item=_item_2014,
        python_items=True,
    ),
)


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


read_2023 = partial(
    read_reviews_and_items,
    form=ReviewFormat(
        user="user_id",
        item="parent_asin",
        rating="rating",
        time=lambda row: parse_unix_time(row.get("timestamp")),
        review=_review_2023,
        describe_item=_item_2023,
    ),
)
