"""The user's recent context of an item: Eq. (23).

    h_time       mean vector of the user's latest items
    h_location   mean vector of the items that are chosen at the user's location
    h_trend      mean vector of the items that rise at that time
    h_context    the explained item's vector
    c_t = Attention(h_context, [h_time; h_location; h_trend])

All vectors are item vectors, so (23) needs no training. They are scaled to length √d, as attention
divides their product by √d. A part that is not present gets no weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor

from llm4rec_recbole.components.fusion.fusion import attended, cross_modal_attention

DAY = 86_400.0  # seconds
TREND_DAYS = 30
PARTS = ("time", "location", "trend")


@dataclass(frozen=True, eq=False)
class Frequency:
    """How often something was chosen, and how often its usual share predicts; (n_items,) each."""

    count: np.ndarray
    expected: np.ndarray

    @property
    def exceeds(self) -> np.ndarray:
        """Where the count is so high that a sentence may say so, (n_items,) bool: at least 5, half
        as much again as expected, and two standard deviations of a Poisson variable above it."""
        count, expected = self.count, self.expected
        above = (count >= 1.5 * expected) & (count >= expected + 2 * np.sqrt(expected))
        return above & (count >= 5)

    @property
    def excess(self) -> np.ndarray:
        """The count less the expected one where it exceeds it, otherwise 0, (n_items,)."""
        return np.where(self.exceeds, self.count - self.expected, 0.0)


def context_attention(context: Tensor, parts: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Eq. (23): c_t = Attention(h_context, parts), (B, d), and the attention weights, (B, P).

    context: h_context (B, d); parts: (B, P, d), such as h_time and h_trend; present: (B, P) bool.
    c_t and the weights are zeros where no part is present.
    """
    weights = cross_modal_attention(context, parts, present)
    return attended(weights, parts), weights


def trend(items: np.ndarray, times: np.ndarray, n_items: int, now: float) -> Frequency:
    """Two counts for each item: its choices in the TREND_DAYS before `now`, and the number that its
    earlier share of all choices predicts. Without earlier choices the prediction is infinite.

    items, times: (N,), the training interactions; now: in seconds, as the times.
    """
    start = now - TREND_DAYS * DAY
    before = items[times < start]
    within = items[(times >= start) & (times < now)]
    recent = np.bincount(within, minlength=n_items)
    if not len(before):
        return Frequency(recent, np.full(n_items, np.inf))
    share = np.bincount(before, minlength=n_items) / len(before)
    return Frequency(recent, share * len(within))


@dataclass(frozen=True, eq=False)
class ContextPart:
    """A part of (23): the weight of each item's vector in it, and the items that it is evidence
    for."""

    weights: np.ndarray  # (n_items,)
    present: np.ndarray  # (n_items,) bool


def context_vectors(
    vectors: np.ndarray, parts: Sequence[ContextPart]
) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of the parts, (P, d) of length √d, and for which items each is present, (n_items,
    P). vectors: (n_items, d) float32. A part whose weights are all 0 is present for no item."""
    weights = np.stack([part.weights for part in parts]).astype(vectors.dtype)  # (P, n_items)
    sums = weights @ vectors
    present = np.stack([part.present & row.any() for part, row in zip(parts, sums)], 1)
    return scale_to_sqrt_d(sums), present


def scale_to_sqrt_d(vectors: np.ndarray) -> np.ndarray:
    """Scale the vectors (N, d) to length √d, float32; zero vectors stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scale = np.sqrt(vectors.shape[1]) / np.where(lengths > 0, lengths, 1.0)
    return (vectors * scale).astype(np.float32)


# The location: what is chosen there. A data set has one of two kinds of location, or none:
#
#     items   city and state of a business (Yelp): the user chooses in one city more than others do
#     users   a zip code (MovieLens): users of one region choose an item more than others do
#
# A region is the first character of a zip code: the United States have ten.


class Nearby(NamedTuple):
    """What is chosen at one location more than elsewhere."""

    place: str  # "Reno, NV", or "zip code 9…"
    part: ContextPart  # h_location, for the items of which `frequency` exceeds what is expected
    frequency: Frequency  # of the user's choices in the item's city, or of the item in the region
    of: int  # items of the user's history, or choices of the region's users
    is_city: bool  # the location is the item's


class ItemLocations:
    """Cities of items. cities: (n_items,), "" where an item has none."""

    def __init__(self, cities: np.ndarray) -> None:
        self.names, self.codes = np.unique(cities, return_inverse=True)

    def nearby(
        self, user: int, history: np.ndarray, users: np.ndarray, items: np.ndarray
    ) -> Nearby | None:
        """What is chosen at the user's location, the city of most items of the history; None where
        it is not known. user: internal id; history: (S,) item ids; users, items: (N,), the
        interactions before the query time."""
        named = self.names != ""
        counts = np.bincount(self.codes[history], minlength=len(named)) * named
        if not counts.any() or not len(items):
            return None
        city = int(counts.argmax())
        is_here = self.codes == city  # (n_items,)
        expected = is_here[items].mean() * len(history)
        frequency = Frequency(counts[city] * is_here, np.where(is_here, expected, np.inf))
        weights = np.bincount(history[is_here[history]], minlength=len(is_here))
        part = ContextPart(weights, frequency.exceeds)
        return Nearby(str(self.names[city]), part, frequency, len(history), True)


class UserLocations:
    """Regions of users. zip_codes: (n_users,), "" where a user has none."""

    def __init__(self, zip_codes: np.ndarray, n_items: int) -> None:
        self.n_items = n_items
        self.regions = np.array([code[:1].upper() for code in zip_codes.tolist()], dtype=str)

    def nearby(
        self, user: int, history: np.ndarray, users: np.ndarray, items: np.ndarray
    ) -> Nearby | None:
        """What is chosen in the user's region; the user's own choices count too. Arguments: as of
        ItemLocations."""
        region = str(self.regions[user])
        is_here = self.regions[users] == region  # (N,)
        if not region or is_here.all():
            return None
        counts, others = (
            np.bincount(items[rows], minlength=self.n_items) for rows in (is_here, ~is_here)
        )
        frequency = Frequency(counts, others * (is_here.sum() / (~is_here).sum()))
        part = ContextPart(frequency.excess, frequency.exceeds)
        return Nearby(f"zip code {region}…", part, frequency, int(is_here.sum()), False)


Locations = ItemLocations | UserLocations
