"""The items that a history's relations retrieve, as knowledge in the softmax over the catalogue.

    Eq. (11) with knowledge:  softmax(W_o h_t + b_o + λ_r · s_t),  s_t the relations' scores

What s_t is made of is components/relations.py: item–item relations from the training interactions,
weighted by how long ago the items were had. It enters when the model is asked, not while it learns,
as the neighbours of kNN-LM do (Khandelwal et al., ICLR 2020): a language model that learned beside
it would learn only what the relations leave over, and the two are then worth less than their sum
(docs/enhanced_genrec.md).
"""

from __future__ import annotations

import torch
from torch import nn

from llm4rec_recbole.components.relations import relation_scores


class RelationContext(nn.Module):
    """Scores of related items.

    relations: B, (M, M); places: (n_items,) each item's row of it, 0 for one that has no relations
    and for the pad. Both come from the data, so they are kept out of the state dict. decay: γ,
    what an item weighs against the one after it; weight: λ_r.
    """

    relations: torch.Tensor
    places: torch.Tensor

    def __init__(
        self, relations: torch.Tensor, places: torch.Tensor, decay: float, weight: float
    ) -> None:
        super().__init__()
        self.register_buffer("relations", relations, persistent=False)
        self.register_buffer("places", places, persistent=False)
        self.decay, self.weight = decay, weight

    def forward(self, history: torch.Tensor) -> torch.Tensor:
        """λ_r s, (B, n_items), of histories (B, L), oldest first, padded on the right."""
        lengths = (history > 0).sum(1, keepdim=True)  # (B, 1)
        ages = (lengths - 1 - torch.arange(history.shape[1], device=history.device)).clamp(min=0)
        scores = relation_scores(self.places[history], ages, self.relations, self.decay)  # (B, M)
        return self.weight * scores[:, self.places]
