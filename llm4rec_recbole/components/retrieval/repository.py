"""The repository M of the paper's retrieval: what the data set says about each item.

    text         title, year, categories and description, as one vector
    categories   of the data set, an embedding each
    reviews      the vectors of the item's earliest reviews, each with its date

An entry is an item together with the reviews that were written before the query. Its number is
item · (R + 1) + n, with n the reviews that are known, 0 … R. So the number says what may be read.

`llm4rec prepare` writes reviews.parquet next to the atomic files. Reviews of held-out interactions
would reveal the targets; `training_events` leaves them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole.components.training_features import encoded_folder
from llm4rec_recbole.datasets.events import training_events

NO_ENTRY = -1


@dataclass(frozen=True, eq=False)
class ItemReviews:
    """The R earliest reviews of each item; an item may have fewer."""

    vectors: np.ndarray  # (n_items, R + 1, d) float32: mean of the first n reviews, zeros for n = 0
    dates: np.ndarray  # (n_items, R) float64, ascending, inf where there is no review


def item_reviews(
    vectors: np.ndarray, items: np.ndarray, times: np.ndarray, n_items: int
) -> ItemReviews:
    """Reviews by item. vectors: (Q, d); items, times: (Q,), one row for each review."""
    order = np.lexsort((times, items))
    vectors, items, times = vectors[order], items[order], times[order]
    rank = np.arange(len(items)) - np.searchsorted(items, items)
    most = int(rank.max(initial=-1)) + 1
    dates = np.full((n_items, most), np.inf)
    dates[items, rank] = times
    sums = np.zeros((n_items, most + 1, vectors.shape[1]), dtype=np.float32)
    sums[items, rank + 1] = vectors
    np.cumsum(sums, axis=1, out=sums)
    sums /= np.maximum(np.arange(most + 1, dtype=np.float32), 1)[:, None]
    return ItemReviews(sums, dates)


def entries_of(items: np.ndarray, times: np.ndarray, reviews: ItemReviews | None) -> np.ndarray:
    """The entries of retrieved `items` (P, K), 0 for none, at query times (P,): (P, K) int64. A
    review counts as known if its date is before the query time."""
    n_known = 0 if reviews is None else (reviews.dates[items] < times[:, None, None]).sum(-1)
    size = 1 if reviews is None else reviews.vectors.shape[1]
    return np.where(items > 0, items * size + n_known, NO_ENTRY)


MAX_WORDS = 64  # only the first words of a review are encoded


def training_reviews(config: Any, dataset: Any) -> list[str] | None:
    """The text of each training row's review, or else its summary, or else ""; None without
    reviews. Helpful votes are not read: they have no dates, so most of them may be later than a
    query."""
    table = Path(config["data_path"], "reviews.parquet")
    if not table.is_file():
        return None
    fields = (config["USER_ID_FIELD"], config["ITEM_ID_FIELD"])
    inter = dataset.inter_feat
    ids = [dataset.id2token(field, inter[field].numpy()) for field in fields]
    reviews = training_events(table, *ids).sort_values("timestamp", kind="stable")
    reviews = reviews.drop_duplicates(["user_id", "item_id"])  # training uses the first of a pair
    full, short = reviews["text"].fillna(""), reviews["summary"].fillna("")
    pairs = zip(reviews["user_id"], reviews["item_id"])
    text_of_pair = dict(zip(pairs, full.where(full != "", short)))
    return [text_of_pair.get(pair, "") for pair in zip(*ids)]


def earliest_of_each_item(items: np.ndarray, times: np.ndarray, max_reviews: int) -> np.ndarray:
    """Rows (R,), ascending, of the `max_reviews` earliest reviews of each item; ties by row. items,
    times: (N,). What is known at a moment then does not depend on later reviews."""
    order = np.lexsort((times, items))
    starts = np.searchsorted(items[order], items[order], side="left")
    return np.sort(order[np.arange(len(order)) - starts < max_reviews])


def reviews_to_retrieve(config: Any, dataset: Any, max_reviews: int) -> ItemReviews | None:
    """The `max_reviews` earliest reviews of each item, in the encoder of the items' texts. None for
    a data set without reviews or times, or if `max_reviews` is 0. Only the first MAX_WORDS words
    count."""
    inter = dataset.inter_feat
    wanted = max_reviews and dataset.time_field in inter
    reviews = training_reviews(config, dataset) if wanted else None
    if reviews is None or not any(reviews):
        return None
    from llm4rec_recbole.language_models.encode_items import encode_texts

    items, times = inter[dataset.iid_field].numpy(), inter[dataset.time_field].numpy()
    has_text = np.flatnonzero(np.array([bool(text) for text in reviews]))
    rows = has_text[earliest_of_each_item(items[has_text], times[has_text], max_reviews)]
    texts = [" ".join(reviews[row].split()[:MAX_WORDS]) for row in rows]
    names = dataset.id2token(dataset.iid_field, items[rows]).tolist()
    folder = encoded_folder(config, f"-reviews-{config['protocol']}")
    vectors = encode_texts(names, texts, folder, config["text_encoder"]).vectors
    return item_reviews(vectors, items[rows], times[rows].astype(np.float64), dataset.item_num)
