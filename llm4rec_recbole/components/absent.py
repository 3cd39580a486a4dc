"""Stand-ins for components that are switched off, or that find nothing in the data to work on.

Each one has the methods of its component and adds nothing, so that EnhancedGenRec reads the same
with and without the component.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from llm4rec_recbole.data.held_out import HeldOut


class NoContent(nn.Module):
    """In place of fusion.FusedContent: an item's vector is its own."""

    uses_text = False

    def add_to(self, own: torch.Tensor, ids: torch.Tensor | None = None) -> torch.Tensor:
        """The items' own vectors, unchanged."""
        return own

    def freeze(self) -> None:
        """Nothing to freeze."""


class NoRetrieval(nn.Module):
    """In place of retrieval.RetrievedContext: no entries, so no tokens."""

    uses_text = False

    def add_to(self, history: torch.Tensor, *unused: Any) -> torch.Tensor:
        """The items' tokens (B, L, d), unchanged."""
        return history

    def before(self, position: torch.Tensor) -> torch.Tensor:
        """No entries: (B, L, 0) for windows (B, L)."""
        return position.new_zeros(*position.shape, 0)

    def now(self, held_out: HeldOut, rows: np.ndarray) -> torch.Tensor:
        """No entries: (B, 1, 0) for rows (B,) of `held_out`."""
        return torch.zeros(len(rows), 1, 0, dtype=torch.int64)

    def at(self, histories: list[np.ndarray], *unused: Any) -> torch.Tensor:
        """No entries: (B, 1, 0) for B histories."""
        return torch.zeros(len(histories), 1, 0, dtype=torch.int64)


class NoRelations(nn.Module):
    """In place of item_relations.RelationTerm."""

    def forward(self, history: torch.Tensor) -> float:
        """Adds nothing to the scores."""
        return 0.0


class NoDebiasing(nn.Module):
    """In place of debiasing.Debiasing: plain dot products, and all targets weigh the same."""

    fairness_weight = 0.0

    def factors(
        self, states: torch.Tensor, table: torch.Tensor, *unused: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The states (N, d) and the items (M, d) themselves."""
        return states, table

    def target_weights(self, rows: torch.Tensor) -> None:
        """No weights: all targets weigh the same."""

    def scores(self, states: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """W_o h_t of Eq. (11), (B, n_items)."""
        return states @ table.T

    def fairness_loss(self, *unused: Any) -> float:
        """Adds nothing to the loss."""
        return 0.0


class NoAspects(nn.Module):
    """In place of explanation.AspectPreference."""

    def loss(self, user: torch.Tensor, items: torch.Tensor) -> float:
        """Adds nothing to the loss."""
        return 0.0

    def forward(self, user: torch.Tensor) -> tuple[None, float]:
        """No distribution over aspects; adds nothing to the scores."""
        return None, 0.0
