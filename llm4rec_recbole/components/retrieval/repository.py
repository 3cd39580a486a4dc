"""The repository M of the paper's retrieval: what the data set says about each item.

    text         title, year, categories and description, as one vector
    categories   of the data set, an embedding each
    reviews      the vectors of the item's earliest reviews, each with its date

An entry is an item together with the reviews that were written before the query. Its number is
item · (R + 1) + n, with n the reviews that are known, 0 … R. So the number says what may be read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    """The entries of retrieved `items` (P, K), 0 for none, at query times (P,): (P, K) int64.

    A review counts as known if its date is before the query time.
    """
    n_known = 0 if reviews is None else (reviews.dates[items] < times[:, None, None]).sum(-1)
    size = 1 if reviews is None else reviews.vectors.shape[1]
    return np.where(items > 0, items * size + n_known, NO_ENTRY)
