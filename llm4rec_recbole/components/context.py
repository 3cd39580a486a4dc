"""How retrieved knowledge enters the language model, Eq. (12), and what leaves it, Eq. (11)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn


class Sequence(NamedTuple):
    """What a language model reads instead of words: soft tokens."""

    embeddings: torch.Tensor  # (B, 1 + K + L, d)
    mask: torch.Tensor  # (B, 1 + K + L) int64, 0 where there is no token
    positions: torch.Tensor  # (B, 1 + K + L) int64, tokens counted from 0, gaps left out


def context_sequence(
    user: torch.Tensor,
    retrieved: torch.Tensor,
    is_retrieved: torch.Tensor,
    history: torch.Tensor,
    is_item: torch.Tensor,
) -> Sequence:
    """The input of Eq. (12), [h_user; Embed(K_retrieved); y_<t].

    user: (B, d); retrieved: (B, K, d), which of them there are: (B, K) bool; history: (B, L, d),
    oldest first, padded on the right, which of it there is: (B, L) bool. Under a causal mask every
    position of the history sees the user and all that was retrieved: that must then be known
    before the first of the positions that are trained. Item l of the history is token 1 + K + l.
    """
    embeddings = torch.cat([user[:, None], retrieved, history], 1)
    there = torch.cat([is_item.new_ones(len(user), 1), is_retrieved, is_item], 1).long()
    return Sequence(embeddings, there, (there.cumsum(1) - 1).clamp(min=0))


def output_distribution(
    states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Eq. (11): P(y_t | y_<t, h_user, K) = softmax(W_o h_t + b_o), (B, n_items).

    states: h_t (B, d); weight: W_o (n_items, d); bias: b_o (n_items,).
    """
    return torch.softmax(states @ weight.T + bias, -1)


class EntryEmbedding(nn.Module):
    """Embed(·) of Eq. (12): a repository entry's key, mapped to d, plus a vector for its kind.

    keys: (E, d_key) float32; kinds: (E,) int64, numbered from 0; both are kept out of the state
    dict, as they come from the data set.
    """

    keys: torch.Tensor
    kinds: torch.Tensor

    def __init__(self, keys: torch.Tensor, kinds: torch.Tensor, n_kinds: int, d: int) -> None:
        super().__init__()
        self.register_buffer("keys", keys, persistent=False)
        self.register_buffer("kinds", kinds, persistent=False)
        self.map = nn.Linear(keys.shape[1], d)
        self.kind = nn.Embedding(n_kinds, d)

    def forward(self, entries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, K, d) of `entries` (B, K), and which there are (B, K): -1 is none."""
        there = entries >= 0
        rows = entries.clamp(min=0)
        return self.map(self.keys[rows]) + self.kind(self.kinds[rows]), there
