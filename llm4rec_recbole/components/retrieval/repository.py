"""The repository M of the paper's retrieval: the data set's own metadata and training interactions.

    kind      key                          names        date
    item      the item's text vector       the item     timeless
    category  mean vector of its items     no item      timeless
    relation  mean of the two vectors      both items   when `min_users` users had gone directly
                                                        from the first item to the second
    review    the review's text vector     the item     when it was written

Each entry stores the timestamps of its supporting interactions. Support and recency are therefore
computed as of the query time; later interactions never influence a retrieval.

The paper does not define credibility. Here it is min(1, log(1 + n) / log(1 + FULL_CREDIT)), where n
is the support before the query time: an item's ratings, the users of a relation, or the helpful
votes of a review, which have no dates. A category comes from the data set itself and has 1.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

KINDS = ("item", "category", "relation", "review")
FULL_CREDIT = 100.0  # ratings, users or votes; more do not raise the credibility
MIN_SUPPORT = 3  # users who went directly from one item to another make a relation …
INTERACTIONS_PER_USER = 500_000  # … in large data one user for each so many interactions


@dataclass(frozen=True, eq=False)
class Entries:
    """E entries; `Repository` holds those of all kinds."""

    keys: np.ndarray  # (E, d) float32, length 1
    kinds: np.ndarray  # (E,) int64, index in KINDS
    about: np.ndarray  # (E, 2) int64, the items it names, 0 for none; a single item is first
    times: np.ndarray  # (E,) float64, its date, -inf if it is timeless
    votes: np.ndarray  # (E,) float64, support without a date
    support: np.ndarray  # (E,) int64, the number of its dates …
    dates: np.ndarray  # (sum of support,) float64, … entry after entry, each from old to new


def item_entries(vectors: np.ndarray, items: np.ndarray, times: np.ndarray) -> Entries:
    """One entry for each item with a text. vectors: (n_items, d), zeros for an item without;
    items, times: (N,), the training interactions."""
    order = np.lexsort((times, items))
    has_text = np.any(vectors, axis=1)
    counts = np.bincount(items, minlength=len(vectors))
    ids = np.flatnonzero(has_text)
    dates = times[order][has_text[items[order]]]
    return _entries("item", vectors[ids], ids, support=counts[ids], dates=dates)


def category_entries(vectors: np.ndarray, categories: np.ndarray) -> Entries:
    """One entry for each category that has an item with a text. vectors: (n_items, d); categories:
    (n_items, C) multi-hot."""
    means = categories.T.astype(np.float32) @ vectors  # (C, d)
    means = means[means.any(1)]
    return _entries("category", means, votes=np.full(len(means), FULL_CREDIT))


def relation_entries(
    vectors: np.ndarray,
    users: np.ndarray,
    items: np.ndarray,
    times: np.ndarray,
    min_users: int | None = None,
) -> Entries:
    """One entry for each (i, j) such that `min_users` users went directly from i to j.

    users, items, times: (N,), the training interactions in exact order. min_users: None is
    MIN_SUPPORT, or in large data one user for every INTERACTIONS_PER_USER interactions. MovieLens
    25M would otherwise have millions of pairs, most of them by chance.
    """
    if min_users is None:
        min_users = max(MIN_SUPPORT, len(users) // INTERACTIONS_PER_USER)
    order = np.argsort(users, kind="stable")
    u, i, t = users[order], items[order], times[order]
    follows = u[1:] == u[:-1]
    first, then, when = i[:-1][follows], i[1:][follows], t[1:][follows]
    pair = first * len(vectors) + then
    order = np.lexsort((when, pair))
    codes, starts, counts = np.unique(pair[order], return_index=True, return_counts=True)
    about = np.stack(np.divmod(codes, len(vectors)), 1)  # (pairs, 2)
    has_text = np.any(vectors, axis=1)
    frequent = (counts >= min_users) & has_text[about].any(1)
    keys = vectors[about[frequent, 0]] + vectors[about[frequent, 1]]
    since = when[order][starts[frequent] + min_users - 1]
    dates = when[order][np.repeat(frequent, counts)]
    return _entries("relation", keys, about[frequent], since, support=counts[frequent], dates=dates)


def review_entries(
    vectors: np.ndarray, items: np.ndarray, times: np.ndarray, votes: np.ndarray
) -> Entries:
    """One entry for each review with a text. vectors: (R, d); items, times, votes: (R,). A
    review of a held-out interaction may be among them: its date keeps it out of the query."""
    has_text = vectors.any(1)
    return _entries(
        "review", vectors[has_text], items[has_text], times[has_text], votes=votes[has_text]
    )


def _entries(
    kind: str,
    keys: np.ndarray,
    about: np.ndarray | None = None,
    times: np.ndarray | None = None,
    votes: np.ndarray | None = None,
    support: np.ndarray | None = None,
    dates: np.ndarray | None = None,
) -> Entries:
    n = len(keys)
    named = np.zeros((n, 2), dtype=np.int64)
    if about is not None:
        named[:, : about.ndim] = about if about.ndim == 2 else about[:, None]
    lengths = np.linalg.norm(keys, axis=1, keepdims=True)
    return Entries(
        keys=(keys / np.where(lengths > 0, lengths, 1.0)).astype(np.float32),
        kinds=np.full(n, KINDS.index(kind)),
        about=named,
        times=np.full(n, -np.inf) if times is None else times.astype(np.float64),
        votes=np.zeros(n) if votes is None else votes.astype(np.float64),
        support=np.zeros(n, dtype=np.int64) if support is None else support,
        dates=np.zeros(0) if dates is None else dates.astype(np.float64),
    )


class Repository:
    """Entries of all kinds, with their support and recency as of any moment."""

    def __init__(self, *parts: Entries) -> None:
        joined = (np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Entries))
        self.entries = Entries(*joined)
        entry = np.repeat(np.arange(len(self)), self.entries.support)
        # All pairs (entry, date) as one ascending list of numbers; a date counts as its rank.
        self._dates, rank = np.unique(self.entries.dates, return_inverse=True)
        self._stride = len(self._dates) + 1
        self._date_keys = entry * self._stride + rank
        self._starts = np.cumsum(self.entries.support) - self.entries.support  # (E,)

    def __len__(self) -> int:
        return len(self.entries.kinds)

    def support(self, entries: np.ndarray, now: float) -> np.ndarray:
        """The number of dates before `now` of each of `entries` (C,): (C,) int64."""
        rank = np.searchsorted(self._dates, now, side="left")
        upto = np.searchsorted(self._date_keys, entries * self._stride + rank, side="left")
        return upto - self._starts[entries]

    def credibility(self, entries: np.ndarray, now: float) -> np.ndarray:
        """The third term of Eq. (9), (C,) from 0 to 1; see the head of this file."""
        n = self.support(entries, now) + self.entries.votes[entries]
        return np.minimum(1.0, np.log1p(n) / np.log1p(FULL_CREDIT))

    def last_support(self, entries: np.ndarray, now: float) -> np.ndarray:
        """t_j of Eq. (10), (C,): the last date before `now` of a dated entry's support, or else its
        own date; -inf for a timeless entry."""
        n = self.support(entries, now)
        times = self.entries.times[entries].copy()
        dated = (n > 0) & (times > -np.inf)
        times[dated] = self.entries.dates[self._starts[entries[dated]] + n[dated] - 1]
        return times
