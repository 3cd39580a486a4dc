"""Amazon reviews of 2014 (McAuley et al., SIGIR 2015): JSON lines, mostly gzip.

    reviews   {"reviewerID": "A2IB…", "asin": "1384719342", "helpful": [13, 14], "reviewText": …,
               "overall": 5.0, "summary": "good", "unixReviewTime": 1393545600, …}
    items     {'asin': '0000143561', 'title': …, 'price': 12.99, 'categories': [['Movies & TV']], …}

Times are days. Sales ranks and "also bought" lists are not read: they come from all purchases,
held-out ones included.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm4rec_recbole.datasets.base import RawData, RowReport, describe_entities, parse_unix_time
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


def read(files: dict[str, Path], staging: Path) -> RawData:
    """Read the reviews, and the metadata if the file is there."""
    return read_reviews_and_items(files, _FORMAT, staging)


def read_products(path: Path, row_report: RowReport) -> pd.DataFrame:
    """The metadata: item_id, title, categories, description and price of each product."""
    rows = read_objects(path, python=True)
    return describe_entities(rows, row_report, "asin", "item_id", _item)


def _review(row: dict[str, Any]) -> dict[str, Any]:
    helpful = row.get("helpful")
    counts = helpful if isinstance(helpful, list) and len(helpful) == 2 else [None, None]
    return {
        "summary": clean_text(row.get("summary")),
        "text": clean_text(row.get("reviewText")),
        "helpful": parse_count(counts[0]),
        "votes": parse_count(counts[1]),
    }


def _item(row: dict[str, Any]) -> dict[str, Any]:
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


_FORMAT = ReviewFormat(
    user="reviewerID",
    item="asin",
    rating="overall",
    time=lambda row: parse_unix_time(row.get("unixReviewTime")),
    review=_review,
    describe_item=_item,
    python_items=True,
)
