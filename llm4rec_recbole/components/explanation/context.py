"""The user's recent context of an item: Eq. (23).

    h_time       mean vector of the user's latest items
    h_location   mean vector of the items that are chosen at the user's location (location.py)
    h_trend      mean vector of the items that rise at that time
    h_context    the explained item's vector
    c_t = Attention(h_context, [h_time; h_location; h_trend])

All vectors are item vectors, so (23) needs no training. They are scaled to length √d, as attention
divides their product by √d. A part that is not present gets no weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

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
        """Where the count is so high that a sentence may say so, (n_items,) bool.

        It is at least 5, half as much again as expected, and two standard deviations of a Poisson
        variable above it.
        """
        count, expected = self.count, self.expected
        above = (count >= 1.5 * expected) & (count >= expected + 2 * np.sqrt(expected))
        return above & (count >= 5)

    @property
    def excess(self) -> np.ndarray:
        """The count less the expected one where it exceeds it, otherwise 0, (n_items,)."""
        return np.where(self.exceeds, self.count - self.expected, 0.0)


def context_attention(
    context: torch.Tensor, parts: torch.Tensor, present: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Eq. (23): c_t = Attention(h_context, parts), (B, d), and the attention weights, (B, P).

    context: h_context (B, d); parts: (B, P, d), such as h_time and h_trend; present: (B, P) bool.
    c_t and the weights are zeros where no part is present.
    """
    weights = cross_modal_attention(context, parts, present)
    return attended(weights, parts), weights


def trend(
    items: np.ndarray, times: np.ndarray, n_items: int, now: float, window: float = TREND_DAYS * DAY
) -> Frequency:
    """How often each item was chosen in the window before `now`, and how often its share of the
    interactions before the window predicts.

    items, times: (N,), the training interactions; now, window: in seconds, as the times. Without
    interactions before the window nothing is known to rise: the expected numbers are infinite.
    """
    before = items[times < now - window]
    within = items[(times >= now - window) & (times < now)]
    recent = np.bincount(within, minlength=n_items)
    if not len(before):
        return Frequency(recent, np.full(n_items, np.inf))
    share = np.bincount(before, minlength=n_items) / len(before)
    return Frequency(recent, share * len(within))


@dataclass(frozen=True, eq=False)
class Part:
    """A part of (23): the weight of each item's vector in it, and the items that it is evidence
    for."""

    weights: np.ndarray  # (n_items,)
    present: np.ndarray  # (n_items,) bool


def context_vectors(vectors: np.ndarray, parts: Sequence[Part]) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of the parts, (P, d) of length √d, and for which items each is present,
    (n_items, P).

    vectors: (n_items, d) float32. A part whose weights are all 0 is present for no item.
    """
    weights = np.stack([part.weights for part in parts]).astype(vectors.dtype)  # (P, n_items)
    sums = weights @ vectors
    present = np.stack([part.present & row.any() for part, row in zip(parts, sums)], 1)
    return scale_to_sqrt_d(sums), present


def scale_to_sqrt_d(vectors: np.ndarray) -> np.ndarray:
    """Scale the vectors (N, d) to length √d, float32; zero vectors stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scale = np.sqrt(vectors.shape[1]) / np.where(lengths > 0, lengths, 1.0)
    return (vectors * scale).astype(np.float32)
