"""The user's recent context of an item: Eq. (23).

    h_time   mean vector of the user's latest items
    h_trend  mean vector of the items that rise at that time
    c_t = Attention(h_context, [h_time; h_trend]),  h_context the vector of the explained item

The paper's third part, h_location, is in none of the data sets. All vectors are item vectors, so
(23) needs no training. They are scaled to length √d, as attention divides their product by √d. A
part that is not present gets no weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from llm4rec_recbole.components.fusion.fusion import attended, cross_modal_attention

DAY = 86_400.0  # seconds
TREND_DAYS = 30
MIN_INTERACTIONS = 5  # within the window, for an item to rise


def context_attention(
    context: torch.Tensor, parts: torch.Tensor, present: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Eq. (23): c_t = Attention(h_context, parts), (B, d), and the attention weights, (B, P).

    context: h_context (B, d); parts: (B, P, d), such as h_time and h_trend; present: (B, P) bool.
    c_t and the weights are zeros where no part is present.
    """
    weights = cross_modal_attention(context, parts, present)
    return attended(weights, parts), weights


@dataclass(frozen=True, eq=False)
class Trend:
    """How often items were chosen in the window before the query time, and which rise."""

    recent: np.ndarray  # (n_items,) int64, interactions within the window
    rise: np.ndarray  # (n_items,) float64, increase over what the item's earlier share predicts


def trend(
    items: np.ndarray, times: np.ndarray, n_items: int, now: float, window: float = TREND_DAYS * DAY
) -> Trend:
    """Return which items rise at `now`, from the interactions before it.

    items, times: (N,), the training interactions; now, window: in seconds, as the times. An item
    rises when it was chosen at least MIN_INTERACTIONS times in the window, and more often than its
    share of the interactions before the window predicts. `rise` is 0 for all other items, and for
    all where there were no interactions before the window.
    """
    before = items[times < now - window]
    within = items[(times >= now - window) & (times < now)]
    recent = np.bincount(within, minlength=n_items)
    expected = np.bincount(before, minlength=n_items) * (len(within) / max(len(before), 1))
    enough = (recent >= MIN_INTERACTIONS) & (len(before) > 0)
    return Trend(recent, np.where(enough, np.maximum(recent - expected, 0.0), 0.0))


def context_parts(
    vectors: np.ndarray, latest: np.ndarray, rise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return h_time and h_trend, (2, d) of length √d, and for which items each is present,
    (n_items, 2).

    vectors: (n_items, d) float32; latest: (S,) ids of the user's latest items; rise: (n_items,).
    h_time is present where the user has an item, h_trend for the items that rise themselves.
    """
    parts = np.stack([vectors[latest].sum(0), rise.astype(vectors.dtype) @ vectors])
    present = np.stack([np.full(len(vectors), bool(parts[0].any())), rise > 0], 1)
    return scale_to_sqrt_d(parts), present


def scale_to_sqrt_d(vectors: np.ndarray) -> np.ndarray:
    """Scale the vectors (N, d) to length √d, float32; zero vectors stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scale = np.sqrt(vectors.shape[1]) / np.where(lengths > 0, lengths, 1.0)
    return (vectors * scale).astype(np.float32)
