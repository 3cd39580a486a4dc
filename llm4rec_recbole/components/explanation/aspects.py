"""The user's taste for the aspects of an item: Eqs. (19) and (20).

    h_u ─▶ (19) p_u = softmax(W_p h_u + b_p) over aspects ─┐
    item_aspects ─▶ P(item | aspect) ──────────────────────┴▶ (20) Π_k P(aspect_k | p_u) P(item | …)

The product runs over the aspects that the explanation names, which are the item's own. Over all
aspects it would be 0 for every item that lacks one. The ranking term is the geometric mean: the
product itself decreases with every aspect, and would rank items by how few categories they have.

An item without aspects has the empty product, 1, which is larger than any other. Instead it gets
the mean of the user's log-scores over the items with aspects: it is neither preferred nor avoided.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from llm4rec_recbole.errors import InputError


def aspect_distribution(user: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Eq. (19): p_u = softmax(W_p h_u + b_p), (B, A). user: h_u (B, d); weight: W_p (A, d); bias:
    b_p (A,)."""
    return torch.softmax(user @ weight.T + bias, -1)


def explanation_log_probability(log_preference: Tensor, named: Tensor, log_item: Tensor) -> Tensor:
    """Eq. (20), its logarithm: Σ_k [log P(aspect_k | p_u) + log P(item | aspect_k)], (B, n_items).

    log_preference: log p_u (B, A), finite; named: (n_items, A), 1 where the item has the aspect;
    log_item: (n_items,), Σ_k log P(item | aspect_k) over them, as `item_given_aspects` returns it.
    """
    return log_preference @ named.T + log_item


def item_given_aspects(item_aspects: Tensor) -> Tensor:
    """Σ_k log P(item | aspect_k) over the item's own aspects, (n_items,); 0 where it has none.

    P(item | aspect_k) is the item's share of the total weight of aspect k. item_aspects: (n_items,
    A), weights of at least 0.
    """
    share = item_aspects / item_aspects.sum(0).clamp(min=torch.finfo(item_aspects.dtype).tiny)
    return torch.where(share > 0, share, 1.0).log().sum(1)


def ranking_score(log_preference: Tensor, named: Tensor, log_item: Tensor) -> Tensor:
    """Eq. (20) as a ranking term, (B, n_items): the log of the geometric mean of its factors; for
    an item without aspects, the mean over the items that have them. Arguments: see
    `explanation_log_probability`."""
    counts = named.sum(1)  # (n_items,)
    has_aspects = counts > 0
    score = explanation_log_probability(log_preference, named, log_item) / counts.clamp(min=1)
    mean = (score * has_aspects).sum(1, keepdim=True) / has_aspects.sum().clamp(min=1)  # (B, 1)
    return torch.where(has_aspects, score, mean)


def taste_of_history(history: np.ndarray, item_aspects: np.ndarray) -> np.ndarray:
    """p_u, (A,), for a model that has no h_u: shares of the aspects in the user's history.

    It is (19) with W_p = 1, b_p = 0 and h_u = log(counts + the catalogue's shares). These shares
    count as one more item, so no aspect has probability 0. history: (S,) item ids; item_aspects:
    (n_items, A) multi-hot, A > 0, at least one item for each aspect.
    """
    catalogue = item_aspects.sum(0) / item_aspects.sum()
    weights = item_aspects[history].sum(0) + catalogue  # (A,)
    return weights / weights.sum()


class AspectPreference(nn.Module):
    """Eqs. (19) and (20) for a trained model: the user's taste, and a term to add to its scores.

    d: size of h_u; item_aspects: (n_items, A), multi-hot or weights, row 0 the pad; not in the
    state dict. Raises InputError when no item has an aspect.
    """

    named: Tensor
    log_item: Tensor

    def __init__(self, d: int, item_aspects: Tensor) -> None:
        super().__init__()
        if not (item_aspects > 0).any():
            raise InputError("no item has a category, so no taste can be learned")
        aspects = item_aspects.to(torch.get_default_dtype())
        self.register_buffer("named", (aspects > 0).to(aspects.dtype), persistent=False)
        self.register_buffer("log_item", item_given_aspects(aspects), persistent=False)
        self.project = nn.Linear(d, aspects.shape[1])  # W_p, b_p

    def forward(self, user: Tensor) -> tuple[Tensor, Tensor]:
        """p_u (B, A) and the log-score of every item, (B, n_items), from h_u (B, d)."""
        log_preference = self.project(user).log_softmax(-1)  # log of Eq. (19)
        return log_preference.exp(), ranking_score(log_preference, self.named, self.log_item)

    def loss(self, user: Tensor, items: Tensor) -> Tensor:
        """−log p_u of the chosen items' aspects, a mean over the items that have aspects; 0 without
        any. user: h_u (N, d); items: (N,). An item's aspects have equal weights, which sum to 1."""
        named = self.named[items]  # (N, A)
        counts = named.sum(1)  # (N,)
        log_preference = self.project(user).log_softmax(-1)
        losses = -(named * log_preference).sum(1) / counts.clamp(min=1)
        return losses.sum() / (counts > 0).sum().clamp(min=1)
