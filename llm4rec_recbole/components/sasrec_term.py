"""A small SASRec beside the language model: a term of the ranking that the paper does not have.

    score(u, i) = language model's logit (11) + w_sasrec · SASRec's logit + …

It has item vectors of its own, to which the component fusion can add the items' texts. It learns
from the same batches with a loss of its own. A step costs a fifteenth of a step of the language
model, so it can read more batches.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from llm4rec_recbole.components.item_texts import ItemTexts, NoTexts


class SasrecTerm(nn.Module):
    """Self-attention over a history's item vectors (Kang & McAuley, ICDM 2018), normalised before
    each layer: 2 layers, 2 heads, feed-forward maps of 4 d."""

    def __init__(
        self, n_items: int, d: int, length: int, dropout: float, texts: ItemTexts | NoTexts
    ) -> None:
        """d: size of the item vectors; length: of the longest history; texts: ItemTexts, or its
        stand-in."""
        super().__init__()
        self.texts = texts
        self.item_embedding = nn.Embedding(n_items, d, padding_idx=0)  # item_init fills it
        self.position_embedding = nn.Embedding(length, d)
        nn.init.normal_(self.item_embedding.weight[1:], std=0.02)
        nn.init.normal_(self.position_embedding.weight, std=0.02)
        self.encoder = PreNormEncoder(2, 2, d, 4 * d, dropout, attention=0.0)
        self.norm, self.dropout = nn.LayerNorm(d), nn.Dropout(dropout)

    def item_table(self, ids: Tensor | None = None) -> Tensor:
        """The item vectors, (n_items, d); (M, d) for the items `ids` (M,)."""
        own = self.item_embedding.weight if ids is None else self.item_embedding(ids)
        return self.texts.add_to(own, ids)

    def states(self, items: Tensor, table: Tensor) -> Tensor:
        """The state after each item, (B, L, d). items: (B, L), rows of `table` (M, d), oldest
        first, padded on the right."""
        positions = self.position_embedding.weight[: items.shape[1]]  # (L, d)
        embedded = functional.embedding(items, table, padding_idx=0) + positions  # (B, L, d)
        return self.norm(self.encoder(self.dropout(embedded)))

    def forward(self, items: Tensor) -> Tensor:
        """Scores (B, n_items) after each history's last item; items: (B, L) as in `states`."""
        if not items.shape[1]:  # no history at all: read one pad
            items = items.new_zeros(len(items), 1)
        last = ((items > 0).sum(1) - 1).clamp(min=0)  # (B,)
        table = self.item_table()
        states = self.states(items, table)[torch.arange(len(items), device=items.device), last]
        return states @ table.T

    def loss(self, items: Tensor, targets: Tensor, batch: Any, excluded: Tensor) -> Tensor:
        """The mean −log P of the next items, a scalar.

        items, targets: (B, L), a target of 0 is none; batch: training.batches.BatchItems; excluded:
        (n_items,) bool, the items that are never negatives.
        """
        has_target = targets > 0
        vectors = self.item_table(batch.ids)  # (M, d)
        states = self.states(batch.rows(items), vectors)[has_target]  # (N, d)
        bias = torch.zeros(len(excluded), device=vectors.device)
        bias = batch.of(bias.masked_fill(excluded, -torch.inf))  # (M,)
        return batch.loss(states, vectors, batch.rows(targets[has_target]), bias)


class PreNormEncoder(nn.Module):
    """Causal self-attention layers that normalise their inputs, (B, L, d) to (B, L, d). Histories
    are padded on the right, so no position before the padding attends to it."""

    def __init__(
        self, n_layers: int, n_heads: int, d: int, width: int, dropout: float, attention: float
    ) -> None:
        """width: of the feed-forward maps; dropout, attention: on each map's output, and on the
        attention weights."""
        super().__init__()
        self.layers = nn.ModuleList(
            PreNormLayer(n_heads, d, width, dropout, attention) for _ in range(n_layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class PreNormLayer(nn.Module):
    """One layer: attention, then two feed-forward maps, each added to its input."""

    def __init__(self, n_heads: int, d: int, width: int, dropout: float, attention: float) -> None:
        super().__init__()
        self.n_heads, self.attention_dropout = n_heads, attention
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.projections, self.output = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.wide, self.narrow = nn.Linear(d, width), nn.Linear(width, d)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        B, L, d = x.shape
        heads = self.projections(self.attention_norm(x)).view(B, L, 3, self.n_heads, -1)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # (B, h, L, d / h) each
        context = functional.scaled_dot_product_attention(
            q, k, v, is_causal=True, dropout_p=self.attention_dropout if self.training else 0.0
        )
        x = x + self.dropout(self.output(context.transpose(1, 2).reshape(B, L, d)))
        hidden = functional.gelu(self.wide(self.feed_forward_norm(x)))  # (B, L, width)
        return x + self.dropout(self.narrow(hidden))
