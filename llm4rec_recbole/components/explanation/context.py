"""What the moment has to do with an item: Eq. (23).

    h_time   mean vector of what the user had last
    h_trend  mean vector of what is on the rise just then
    c_t = Attention(h_context, [h_time; h_trend]),  h_context the vector of the item to be explained

The paper's third part, h_location, is in none of the data sets. All vectors are the items' own, so
that (23) needs no training; the parts keep the length √d that layers' outputs have, where √d
divides their product. What has no part in the moment gets no weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from llm4rec_recbole.components.fusion.fusion import attended, cross_modal_attention

DAY = 86_400.0  # seconds
TREND_DAYS = 30
FEWEST = 5  # interactions within the window without which nothing is a trend


def context_attention(
    context: torch.Tensor, parts: torch.Tensor, there: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Eq. (23): c_t = Attention(h_context, parts), (B, d), and the attention weights, (B, P).

    context: h_context (B, d); parts: (B, P, d), such as h_time and h_trend; there: (B, P) bool.
    c_t and the weights are zeros where no part is there.
    """
    weights = cross_modal_attention(context, parts, there)
    return attended(weights, parts), weights


@dataclass(frozen=True, eq=False)
class Trend:
    """How often items were chosen in the window before a moment, and whether that is a rise."""

    recent: np.ndarray  # (n_items,) int64, interactions within the window
    rise: np.ndarray  # (n_items,) float64, by how many more than the item's earlier share foretells


def trend(
    items: np.ndarray, times: np.ndarray, n_items: int, now: float, window: float = TREND_DAYS * DAY
) -> Trend:
    """What was on the rise at `now`, from the interactions before it.

    items, times: (N,), the training interactions; now and window in their unit, seconds. An item
    rises when it was chosen at least FEWEST times in the window, and more often than by its share
    of the interactions before. `rise` is 0 for all others, and for all where nothing was before.
    """
    before = items[times < now - window]
    within = items[(times >= now - window) & (times < now)]
    recent = np.bincount(within, minlength=n_items)
    expected = np.bincount(before, minlength=n_items) * (len(within) / max(len(before), 1))
    enough = (recent >= FEWEST) & (len(before) > 0)
    return Trend(recent, np.where(enough, np.maximum(recent - expected, 0.0), 0.0))


def context_parts(
    vectors: np.ndarray, latest: np.ndarray, rise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """h_time and h_trend, (2, d) of length √d, and for which items each is there, (n_items, 2).

    vectors: (n_items, d) float32; latest: (S,) ids of what the user had last; rise: (n_items,).
    Time is there when anything was had; the trend for the items that rise themselves.
    """
    parts = np.stack([vectors[latest].sum(0), rise.astype(vectors.dtype) @ vectors])
    there = np.stack([np.full(len(vectors), bool(parts[0].any())), rise > 0], 1)
    return at_length_sqrt_d(parts), there


def at_length_sqrt_d(vectors: np.ndarray) -> np.ndarray:
    """The vectors (N, d) scaled to length √d, float32; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scale = np.sqrt(vectors.shape[1]) / np.where(lengths > 0, lengths, 1.0)
    return (vectors * scale).astype(np.float32)
