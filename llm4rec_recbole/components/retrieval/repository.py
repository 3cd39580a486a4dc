"""The repository M of the paper's retrieval: the data set's own metadata and training interactions.

    kind      key                          about        came to be
    item      the item's text vector       the item     timeless
    category  its items' mean vector       no item      timeless
    relation  mean of the two vectors      both items   when the users who went on from the one
                                                        straight to the other became `least`
    review    the review's text vector     the item     when it was written

Every entry knows the dates of the interactions that back it, so that how well it is backed, and
when it was last borne out, can be told as of any moment, and nothing later has a say in it.

The paper leaves credibility undefined. Here it is min(1, log(1 + n) / log(1 + FULL_CREDIT)), n the
interactions before the query that back the entry (for an item its ratings, for a relation the users
who went that way), or a review's helpful votes, which have no dates. A category is what the data
set says of itself: 1.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

KINDS = ("item", "category", "relation", "review")
FULL_CREDIT = 100.0  # as many ratings, users or votes are as good as any number
LEAST = 3  # users who went from one item to the next make a relation …
PER_USER = 500_000  # … and in larger data one user for each so many interactions


@dataclass(frozen=True, eq=False)
class Entries:
    """E entries; `Repository` holds those of all kinds."""

    keys: np.ndarray  # (E, d) float32, length 1
    kinds: np.ndarray  # (E,) int64, place in KINDS
    about: np.ndarray  # (E, 2) int64, the items it names, 0 for none; one item stands first
    times: np.ndarray  # (E,) float64, when it came to be, -inf where it is timeless
    votes: np.ndarray  # (E,) float64, backing without a date
    backed: np.ndarray  # (E,) int64, how many dates back it …
    dates: np.ndarray  # (sum of backed,) float64, … which, entry after entry, each's oldest first


def item_entries(vectors: np.ndarray, items: np.ndarray, times: np.ndarray) -> Entries:
    """One entry for each item with a text. vectors: (n_items, d), zeros where there is none;
    items, times: (N,), the training interactions."""
    order = np.lexsort((times, items))
    has_text = np.any(vectors, axis=1)
    counts = np.bincount(items, minlength=len(vectors))
    ids = np.flatnonzero(has_text)
    dates = times[order][has_text[items[order]]]
    return _entries("item", vectors[ids], ids, backed=counts[ids], dates=dates)


def category_entries(vectors: np.ndarray, categories: np.ndarray) -> Entries:
    """One entry for each category of some item with a text. vectors: (n_items, d); categories:
    (n_items, C) multi-hot."""
    means = categories.T.astype(np.float32) @ vectors  # (C, d)
    means = means[means.any(1)]
    return _entries("category", means, votes=np.full(len(means), FULL_CREDIT))


def relation_entries(
    vectors: np.ndarray,
    users: np.ndarray,
    items: np.ndarray,
    times: np.ndarray,
    least: int | None = None,
) -> Entries:
    """One entry for each (i, j) such that `least` users went on from i straight to j.

    users, items, times: (N,), the training interactions in exact order. least: where it is None,
    LEAST, and in larger data one for every PER_USER interactions: else the pairs of ML-25M alone
    would be millions, and few of them more than chance.
    """
    least = max(LEAST, len(users) // PER_USER) if least is None else least
    order = np.argsort(users, kind="stable")
    u, i, t = users[order], items[order], times[order]
    follows = u[1:] == u[:-1]
    first, then, when = i[:-1][follows], i[1:][follows], t[1:][follows]
    pair = first * len(vectors) + then
    order = np.lexsort((when, pair))
    codes, starts, counts = np.unique(pair[order], return_index=True, return_counts=True)
    about = np.stack(np.divmod(codes, len(vectors)), 1)  # (pairs, 2)
    has_text = np.any(vectors, axis=1)
    kept = (counts >= least) & has_text[about].any(1)
    keys = vectors[about[kept, 0]] + vectors[about[kept, 1]]
    came = when[order][starts[kept] + least - 1]
    dates = when[order][np.repeat(kept, counts)]
    return _entries("relation", keys, about[kept], came, backed=counts[kept], dates=dates)


def review_entries(
    vectors: np.ndarray, items: np.ndarray, times: np.ndarray, votes: np.ndarray
) -> Entries:
    """One entry for each review with a text. vectors: (R, d); items, times, votes: (R,). Reviews
    of held-out interactions need not be left out: their date keeps them from the query."""
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
    backed: np.ndarray | None = None,
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
        backed=np.zeros(n, dtype=np.int64) if backed is None else backed,
        dates=np.zeros(0) if dates is None else dates.astype(np.float64),
    )


class Repository:
    """Entries of all kinds, and what can be said of each as of a moment."""

    def __init__(self, *parts: Entries) -> None:
        joined = (np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Entries))
        self.entries = Entries(*joined)
        entry = np.repeat(np.arange(len(self)), self.entries.backed)
        # An entry's dates in one ascending list of (entry, date): the date as its rank among all.
        self._moments, rank = np.unique(self.entries.dates, return_inverse=True)
        self._stride = len(self._moments) + 1
        self._dated = entry * self._stride + rank
        self._starts = np.cumsum(self.entries.backed) - self.entries.backed  # (E,)

    def __len__(self) -> int:
        return len(self.entries.kinds)

    def backing(self, entries: np.ndarray, now: float) -> np.ndarray:
        """How many dates before `now` back each of `entries` (C,): (C,) int64."""
        moment = np.searchsorted(self._moments, now, side="left")
        upto = np.searchsorted(self._dated, entries * self._stride + moment, side="left")
        return upto - self._starts[entries]

    def credibility(self, entries: np.ndarray, now: float) -> np.ndarray:
        """The third term of Eq. (9), (C,) in 0 … 1, as this file's head defines it."""
        n = self.backing(entries, now) + self.entries.votes[entries]
        return np.minimum(1.0, np.log1p(n) / np.log1p(FULL_CREDIT))

    def last_borne_out(self, entries: np.ndarray, now: float) -> np.ndarray:
        """t_j of Eq. (10), (C,): the last date before `now` that backs a dated entry; when it came
        to be where no date does; -inf for a timeless one."""
        n = self.backing(entries, now)
        times = self.entries.times[entries].copy()
        dated = (n > 0) & (times > -np.inf)
        times[dated] = self.entries.dates[self._starts[entries[dated]] + n[dated] - 1]
        return times
