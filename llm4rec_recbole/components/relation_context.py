"""The items that a history's relations retrieve at each moment, as a score on top of the softmax.

    Eq. (11) with knowledge:  softmax(W_o h_t + b_o + λ_r · s_t),  s_t the relations' scores

What s_t is made of is components/relations.py: item–item relations, weighted by how long ago the
items were had. At a position that is trained on they come from relations that never saw the user.
Only the K best are kept there, Eq. (8): the rest of a large catalogue would not fit.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import nn

from llm4rec_recbole.components.relations import (
    ItemRelations,
    relation_scores,
    relation_scores_at_positions,
)


class RelationContext(nn.Module):
    """Scores of related items, and the weight that they get.

    relations: of the training interactions; decay: γ, by how much an item weighs less than the one
    after it. Both come from the data, so only the weight λ_r is in the state dict. It is
    learned as a tenth of itself, so that it moves at the pace of the scores it weighs.
    """

    weights: torch.Tensor

    def __init__(self, relations: ItemRelations, decay: float, weight: float) -> None:
        super().__init__()
        self.register_buffer("weights", relations.weights, persistent=False)
        self.decay = decay
        self.tenth = nn.Parameter(torch.tensor(weight / 10))

    @property
    def weight(self) -> torch.Tensor:
        """λ_r, a scalar."""
        return 10 * self.tenth

    def forward(self, history: torch.Tensor) -> torch.Tensor:
        """λ_r s, (B, n_items), of histories (B, L), padded on the right."""
        lengths = (history > 0).sum(1, keepdim=True)  # (B, 1)
        ages = (lengths - 1 - torch.arange(history.shape[1], device=history.device)).clamp(min=0)
        return self.weight * relation_scores(history, ages, self.weights, self.decay)


@torch.no_grad()
def retrieved_at_positions(
    relations: ItemRelations, items: np.ndarray, indptr: np.ndarray, decay: float, k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The K most related items after each training interaction, and their scores: (N, K) each.

    items: (N,), user by user, oldest first; user u has items[indptr[u]:indptr[u + 1]]. The user's
    own interactions are taken out of the relations; the items had so far are not retrieved again.
    """
    k = min(k, len(relations.weights) - 1)
    ids = torch.zeros(len(items), k, dtype=torch.int32)
    scores = torch.zeros(len(items), k)
    for start, stop in pairwise(indptr.tolist()):
        if start == stop:
            continue
        history = torch.from_numpy(items[start:stop])[None]  # (1, L)
        profile = history.unique()[None]
        found = relation_scores_at_positions(history, profile, relations.inverse, decay)[0]
        length = history.shape[1]
        so_far = torch.arange(length) <= torch.arange(length)[:, None]  # (L, L)
        found.scatter_(1, torch.where(so_far, history.expand(length, -1), 0), -torch.inf)
        found[:, 0] = -torch.inf
        best = found.topk(k, dim=1)
        ids[start:stop] = best.indices.int()
        scores[start:stop] = best.values.nan_to_num(neginf=0.0)
    return ids, scores
