"""Amazon reviews as published in 2014 (McAuley et al., SIGIR 2015): JSON lines, mostly gzip.

    reviews   {"reviewerID": "A2IB…", "asin": "1384719342", "helpful": [13, 14], "reviewText": …,
               "overall": 5.0, "summary": "good", "unixReviewTime": 1393545600, …}
    items     {'asin': '0000143561', 'title': …, 'price': 12.99, 'categories': [['Movies & TV']], …}

Times are days. What the metadata says of sales and of what was also bought comes from everybody's
purchases, held-out ones included, and is not read.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    import pandas as pd


def read(files: dict[str, Path], source: Source, scratch: Path) -> RawData:
    """Read the reviews, and the metadata where it is there."""
    tallies = {"reviews": Tally(files["reviews"], "reviews")}
    log, reviews = read_reviews(files["reviews"], _FORMAT, tallies["reviews"], scratch)
    data = RawData(log, tallies, events={"reviews": reviews})
    if "items" in files:
        tallies["items"] = Tally(files["items"], "products")
        data.items = read_products(files["items"], tallies["items"])
    return data


def read_products(path: Path, tally: Tally) -> pd.DataFrame:
    """The metadata: item_id, title, categories, description and price of each product."""
    return table(read_objects(path, python=True), tally, "asin", "item_id", _item)


def _review(row: dict[str, Any]) -> dict[str, Any]:
    helpful = row.get("helpful")
    both = helpful if isinstance(helpful, list) and len(helpful) == 2 else [None, None]
    return {
        "summary": text_of(row.get("summary")),
        "text": text_of(row.get("reviewText")),
        "helpful": count_of(both[0]),
        "votes": count_of(both[1]),
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
        "title": html.unescape(text_of(row.get("title")) or ""),
        "categories": list(dict.fromkeys(names)),
        "description": html.unescape(text_of(row.get("description")) or ""),
        "price": price_of(row.get("price")),
    }


_FORMAT = ReviewFormat(
    user="reviewerID",
    item="asin",
    rating="overall",
    time=lambda row: seconds(row.get("unixReviewTime")),
    content=_review,
)
