"""The repository M of the paper's retrieval: what is known about each item as of a moment.

    text         title, year, categories and description, as one vector
    categories   of the data set, an embedding each
    reviews      the vectors of the item's earliest reviews, each with its date
    neighbours   the items that are most similar to it (Snapshots)

An entry is an item together with the reviews that were written before the query. Its number is
item · (R + 1) + n, with n the reviews that are known, 0 … R. So the number says what may be read.

`llm4rec prepare` writes reviews.parquet next to the atomic files. Reviews of held-out interactions
would reveal the targets; `training_events` leaves them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

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


# Item-item similarity as of a moment: what training interactions before it say, and the texts.
#
#     S_ij = (1 − ω) C_ij / √((C_i + β)(C_j + β)) + ω cos(text_i, text_j)
#
#     C_ij     Σ over pairs at most WINDOW steps apart in a history of DECAY^(distance − 1)
#     C_i      a row's sum; β = SHRINK keeps pairs of rare items from being the most similar ones
#
# Each of the two terms is first divided by the mean of its rows' largest entries. ω is therefore a
# share in every data set, although cosines of texts are many times those of co-occurrence.
#
# C grows with time, so there is one S for each of several snapshots. A query reads a snapshot that
# does not contain its target:
#
#     data with times      snapshot s has the interactions before a date b_s, and a query at time t
#                          reads the latest one with b_s < t. Each snapshot has GROWTH times the
#                          interactions of the one before it, so later data move no earlier date.
#     data without times   (an order within each user only) snapshot s has the users whose number
#                          modulo FOLDS is not s, and a user reads the one without that user.
#
# The second rule is cross-fitting: a user's own next item never supports its own retrieval.


WINDOW, DECAY, SHRINK = 20, 0.9, 10.0
MAX_PAIRS = 5_000_000  # a shorter window in large data
NEIGHBOURS = 32  # the most similar items that an item keeps in each snapshot
TEXT_NEIGHBOURS = 16
TEXT_SIZE = 64  # principal components of the text vectors that are compared
FIRST, GROWTH = 100, 1.25  # interactions of the first snapshot; each next one has more
FOLDS = 8


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What is known about items from a part of the training interactions."""

    similarity: sp.csr_matrix  # (n_items, n_items) float32, at most NEIGHBOURS a row
    support: np.ndarray  # (n_items,) int64, the interactions of each item
    last: np.ndarray  # (n_items,) float64, the date of its last one; -inf for none or without dates


class Snapshots:
    """The snapshots of one data set's training interactions, each computed at its first use."""

    def __init__(
        self,
        users: np.ndarray,
        items: np.ndarray,
        times: np.ndarray | None,
        vectors: np.ndarray,
        text_share: float,
    ) -> None:
        """users, items, times: (N,), sorted by user, oldest first, times None without dates;
        vectors: (n_items, d), the texts' vectors, zeros for none; text_share: ω."""
        self.dated = times is not None
        self._users, self._items, self._times = users, items, times
        self._vectors, self._text_share = vectors, text_share
        if times is not None:
            self.dates = snapshot_dates(times)
        self._snapshots: dict[int, Snapshot] = {}

    def __getitem__(self, number: int) -> Snapshot:
        if number not in self._snapshots:
            self._snapshots[number] = self._compute(number)
            if len(self._snapshots) == (len(self.dates) if self.dated else FOLDS):
                for name in ("_pairs", "_text"):  # they are large, and no longer needed
                    vars(self).pop(name, None)
        return self._snapshots[number]

    @cached_property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return _pairs(self._users, self._items)

    @cached_property
    def _text(self) -> sp.csr_matrix | None:
        share = self._text_share
        return share * unit_maxima(text_similarity(self._vectors)) if share else None

    def _compute(self, number: int) -> Snapshot:
        items, times, n_items = self._items, self._times, len(self._vectors)
        inside = self._users % FOLDS != number if times is None else times < self.dates[number]
        counts = _symmetric(self._pairs, inside[self._pairs[1]], items, n_items)
        similarity = (1 - self._text_share) * unit_maxima(shrunk_cosine(counts))
        if self._text is not None:
            similarity = similarity + self._text
        last = np.full(n_items, -np.inf)
        if times is not None:
            np.maximum.at(last, items[inside], times[inside])
        support = np.bincount(items[inside], minlength=n_items)
        return Snapshot(largest(similarity, NEIGHBOURS), support, last)

    def numbers(self, users: np.ndarray, times: np.ndarray) -> np.ndarray:
        """The snapshot that each query reads, (P,) int64. users, times: (P,), of the queries."""
        if not self.dated:
            return users % FOLDS
        return np.searchsorted(self.dates, times, side="left") - 1


def snapshot_dates(times: np.ndarray) -> np.ndarray:
    """The dates of the snapshots, ascending, from -inf (no interaction) to just after all of
    `times` (N,)."""
    dates = np.sort(times)
    sizes = FIRST * GROWTH ** np.arange(1 + max(0, int(np.log(max(len(dates), 1)))) * 5)
    sizes = sizes[sizes < len(dates)].astype(np.int64)
    end = [np.nextafter(dates[-1], np.inf)] if len(dates) else []
    return np.unique(np.concatenate([[-np.inf], dates[sizes], end]))


def _pairs(users: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the earlier and the later interaction of each pair in the window, and its weight,
    (Q,) each. The later one has the pair's date."""
    window = max(1, min(WINDOW, MAX_PAIRS // max(len(users), 1)))
    earlier, later, weights = [], [], []
    for distance in range(1, window + 1):
        first = np.flatnonzero(users[distance:] == users[:-distance])
        first = first[items[first] != items[first + distance]]
        earlier.append(first)
        later.append(first + distance)
        weights.append(np.full(len(first), DECAY ** (distance - 1), dtype=np.float32))
    return np.concatenate(earlier), np.concatenate(later), np.concatenate(weights)


def _symmetric(
    pairs: tuple[np.ndarray, np.ndarray, np.ndarray],
    chosen: np.ndarray,
    items: np.ndarray,
    n_items: int,
) -> sp.csr_matrix:
    """C, (n_items, n_items), of the `chosen` pairs (Q,) bool."""
    first, second = items[pairs[0][chosen]], items[pairs[1][chosen]]
    shape = (n_items, n_items)
    counts = sp.coo_matrix((pairs[2][chosen], (first, second)), shape=shape).tocsr()
    return counts + counts.T.tocsr()


def shrunk_cosine(counts: sp.csr_matrix) -> sp.csr_matrix:
    """C_ij / √((C_i + β)(C_j + β)), with C_i the sum of row i; `counts` is symmetric."""
    mass = np.asarray(counts.sum(1)).ravel() + SHRINK
    scale = sp.diags(1 / np.sqrt(mass))
    return (scale @ counts @ scale).tocsr().astype(np.float32)


def unit_maxima(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """`matrix` (n, n), entries ≥ 0, divided by the mean of the rows' largest entries above 0."""
    maxima = matrix.max(1).toarray() if matrix.nnz else np.zeros(1)
    above = maxima[maxima > 0]
    return matrix / above.mean() if len(above) else matrix


def text_similarity(vectors: np.ndarray) -> sp.csr_matrix:
    """Cosine similarity of text vectors (n_items, d), the TEXT_NEIGHBOURS largest of each item. The
    mean is subtracted first, because with it all titles are similar. Zeros stand for no text."""
    import faiss

    n_items = len(vectors)
    rows = np.flatnonzero(vectors.any(1))
    if len(rows) < 2:
        return sp.csr_matrix((n_items, n_items), dtype=np.float32)
    centred = vectors[rows] - vectors[rows].mean(0)
    if centred.shape[1] > TEXT_SIZE:
        basis = np.linalg.eigh(centred.T @ centred)[1][:, -TEXT_SIZE:]
        centred = centred @ basis
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = np.ascontiguousarray(centred / np.maximum(lengths, 1e-12), dtype=np.float32)
    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(unit)
    cosines, near = index.search(unit, min(TEXT_NEIGHBOURS + 1, len(rows)))
    numbers = np.arange(len(rows))[:, None]
    useful = (near != numbers) & (cosines > 0)
    first = np.broadcast_to(numbers, near.shape)[useful]
    entries = (cosines[useful], (rows[first], rows[near[useful]]))
    return sp.csr_matrix(entries, shape=(n_items, n_items), dtype=np.float32)


def largest(matrix: sp.csr_matrix, n: int) -> sp.csr_matrix:
    """`matrix` with only the n largest positive entries of each row; ties by column."""
    matrix = matrix.tocsr()
    matrix.sort_indices()
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((-matrix.data, rows))
    rank = np.arange(len(order)) - matrix.indptr[rows[order]]
    chosen = order[(rank < n) & (matrix.data[order] > 0)]
    entries = (matrix.data[chosen], (rows[chosen], matrix.indices[chosen]))
    return sp.csr_matrix(entries, shape=matrix.shape, dtype=np.float32)
