"""SASRec with full cross-entropy at every position (Kang & McAuley 2018; arXiv 2309.07602).

RecBole's own class, but for the loss: RecBole trains one position of each row, the last one.
"""

from __future__ import annotations

from typing import Any

import torch
from recbole.model.sequential_recommender.sasrec import SASRec as RecBoleSASRec

from llm4rec_recbole.training.cross_entropy import full_cross_entropy


class SASRec(RecBoleSASRec):
    """Scores are dot products of the last position's state with the item embeddings."""

    def states(self, item_seq: torch.Tensor) -> torch.Tensor:
        """The state at every position, (B, L, d), from items (B, L) padded on the right."""
        positions = torch.arange(item_seq.shape[1], device=item_seq.device)
        embedded = self.item_embedding(item_seq) + self.position_embedding(positions)  # (B, L, d)
        embedded = self.dropout(self.LayerNorm(embedded))
        return self.trm_encoder(embedded, self.get_attention_mask(item_seq))[-1]

    def calculate_loss(self, interaction: Any) -> torch.Tensor:
        """Mean cross-entropy over the catalogue, at all positions that have a next item."""
        targets = interaction[self.POS_ITEM_ID]  # (B, L)
        if targets.dim() == 1:  # RecBole's own rows, under `protocol: recbole`
            return super().calculate_loss(interaction)
        has_target = targets > 0
        states = self.states(interaction[self.ITEM_SEQ])[has_target]  # (targets, d)
        return full_cross_entropy(states, self.item_embedding.weight, targets[has_target])
