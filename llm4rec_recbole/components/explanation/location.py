"""What is chosen at a user's location: the part h_location of Eq. (23).

A data set has one of two kinds of location, or none:

    items   city and state of a business (Yelp): the user chooses in one city more than others do
    users   a zip code (MovieLens): users of one region choose an item more than others do

A region is the first character of a zip code: the United States have ten.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from llm4rec_recbole.components.explanation.context import Frequency, Part


class Nearby(NamedTuple):
    """What is chosen at one location more than elsewhere."""

    place: str  # "Reno, NV", or "zip code 9…"
    part: Part  # h_location, for the items of which `frequency` exceeds what is expected
    frequency: Frequency  # of the user's choices in the item's city, or of the item in the region
    of: int  # items of the user's history, or choices of the region's users
    is_city: bool  # the location is the item's


class Locations(Protocol):
    """The locations of a data set's items or users."""

    def nearby(
        self, user: int, history: np.ndarray, users: np.ndarray, items: np.ndarray
    ) -> Nearby | None:
        """What is chosen at the user's location; None where it is not known.

        user: internal id; history: (S,) item ids; users, items: (N,), the interactions before the
        query time.
        """


class ItemLocations:
    """Cities of items. cities: (n_items,), "" where an item has none."""

    def __init__(self, cities: np.ndarray) -> None:
        self.names, self.codes = np.unique(cities, return_inverse=True)

    def nearby(
        self, user: int, history: np.ndarray, users: np.ndarray, items: np.ndarray
    ) -> Nearby | None:
        """See Locations; the user's location is the city of most items of the history."""
        named = self.names != ""
        counts = np.bincount(self.codes[history], minlength=len(named)) * named
        if not counts.any() or not len(items):
            return None
        city = int(counts.argmax())
        here = self.codes == city  # (n_items,)
        expected = here[items].mean() * len(history)
        frequency = Frequency(counts[city] * here, np.where(here, expected, np.inf))
        weights = np.bincount(history[here[history]], minlength=len(here))
        part = Part(weights, frequency.exceeds)
        return Nearby(str(self.names[city]), part, frequency, len(history), True)


class UserLocations:
    """Regions of users. zip_codes: (n_users,), "" where a user has none."""

    def __init__(self, zip_codes: np.ndarray, n_items: int) -> None:
        self.n_items = n_items
        self.regions = np.array([code[:1].upper() for code in zip_codes.tolist()], dtype=str)

    def nearby(
        self, user: int, history: np.ndarray, users: np.ndarray, items: np.ndarray
    ) -> Nearby | None:
        """See Locations; the user's own choices count too."""
        region = str(self.regions[user])
        here = self.regions[users] == region  # (N,)
        if not region or here.all():
            return None
        counts, others = (np.bincount(items[own], minlength=self.n_items) for own in (here, ~here))
        frequency = Frequency(counts, others * (here.sum() / (~here).sum()))
        part = Part(frequency.excess, frequency.exceeds)
        return Nearby(f"zip code {region}…", part, frequency, int(here.sum()), False)
