"""Multimodal fusion, Eqs. (1) and (3)–(6) of the paper; (2) is the text encoder, encoders/text.py.

    text ───f_text──▶ T tokens ─┐ mean ▶ h_text ──┐
    categories f_c ─▶ 1 a category ─ mean ▶ h_cat ─┤ each h_m asks the tokens of every other
    numbers ──f_n───▶ 1 a number ─── mean ▶ h_num ─┘ modality n: A_{m→n} (3), h_{m←n} (4)
                                                   │ + residual, norm           (Figure 2)
                 Σ_m α_m h_m (6)  +  β · MLP([h_text; h_cat; h_num])  ▶ h_fused (5)

Attention across what? The paper writes one vector h_m for each modality; a softmax over one key is
1, and (3) would be idle. Attention across the items of a batch would make an item's vector depend
on its company. So each modality is a few tokens of its own item: one for each category and each
number, and T read-outs of the text vector; h_m is their mean, and in (3) h_m asks the tokens of n.
Every modality has its own Q, K and V, so that A_{m→n} and A_{n→m} differ: the asymmetry.

(5) names text, pictures and sound. The data sets have neither of the last two, so the concatenation
runs over the modalities that a data set has. What an item lacks takes no part: no token, no key, no
weight in (6), zeros in (5); an item of which nothing is known has h_fused = 0.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from llm4rec_recbole.components.fusion.item_content import ItemContent
from llm4rec_recbole.errors import InputError

Tokens = tuple[torch.Tensor, torch.Tensor]  # (I, T, d) and which of them are there, (I, T) bool


# Few tokens an item: products and sums are faster here than thousands of tiny matrix products.


def cross_modal_attention(
    query: torch.Tensor, keys: torch.Tensor, is_token: torch.Tensor
) -> torch.Tensor:
    """Eq. (3): A_{m→n} = softmax(Q_m K_nᵀ / √d_k), (I, T); zeros for an item without tokens.

    query: (I, d_k), of modality m; keys: (I, T, d_k), of n's tokens; is_token: (I, T) bool.
    """
    scores = (query[:, None] * keys).sum(-1) / math.sqrt(query.shape[-1])
    return _softmax_over(scores, is_token)


def attended(attention: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Eq. (4): h_{m←n} = A_{m→n} V_n h_n, (I, d). attention: (I, T); values: (I, T, d)."""
    return (attention[..., None] * values).sum(1)


def fuse(
    weights: torch.Tensor, vectors: torch.Tensor, mixed: torch.Tensor, beta: torch.Tensor
) -> torch.Tensor:
    """Eq. (5): Σ_m α_m h_m + β · MLP([h_1; …; h_M]), (I, d).

    weights: α (I, M); vectors: h (I, M, d); mixed: the MLP's output (I, d); beta: a scalar.
    """
    return (weights[..., None] * vectors).sum(1) + beta * mixed


def modality_weights(vectors: torch.Tensor, w: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Eq. (6): α_m = exp(w_mᵀ h_m) / Σ_n exp(w_nᵀ h_n) over the modalities present, (I, M).

    vectors: (I, M, d); w: (M, d); present: (I, M) bool; an item with none gets zeros.
    """
    return _softmax_over((vectors * w).sum(-1), present)


def _softmax_over(scores: torch.Tensor, taking_part: torch.Tensor) -> torch.Tensor:
    """Softmax over the last axis of those taking part; zeros where none does, gradients too."""
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~taking_part, lowest).softmax(-1) * taking_part


class TextTokens(nn.Module):
    """Eq. (1) for text: T linear read-outs of the frozen encoder's vector (n_items, d_text)."""

    text: torch.Tensor

    def __init__(self, text: torch.Tensor, d: int, n_tokens: int) -> None:
        super().__init__()
        self.register_buffer("text", text, persistent=False)
        self.n_tokens = n_tokens
        self.read = nn.Linear(text.shape[1], n_tokens * d)

    def forward(self, items: torch.Tensor) -> Tokens:
        text = self.text[items]  # (I, d_text)
        there = (text != 0).any(1, keepdim=True).expand(-1, self.n_tokens)
        return self.read(text).unflatten(1, (self.n_tokens, -1)), there


class CategoryTokens(nn.Module):
    """Eq. (1) for categories: a vector for each; lists (n_items, C) as in ItemContent."""

    categories: torch.Tensor

    def __init__(self, categories: torch.Tensor, d: int) -> None:
        super().__init__()
        self.register_buffer("categories", categories, persistent=False)
        self.embedding = nn.Embedding(int(categories.max()) + 1, d, padding_idx=0)

    def forward(self, items: torch.Tensor) -> Tokens:
        ids = self.categories[items]  # (I, C)
        return self.embedding(ids), ids > 0


class NumberTokens(nn.Module):
    """Eq. (1) for numbers: x · direction + offset for each, then GELU and a linear map, so that
    what is typical of the middle of the scale can be told. Numbers are those of ItemContent."""

    numbers: torch.Tensor
    known: torch.Tensor

    def __init__(self, numbers: torch.Tensor, known: torch.Tensor, d: int) -> None:
        super().__init__()
        self.register_buffer("numbers", numbers, persistent=False)
        self.register_buffer("known", known, persistent=False)
        self.direction = nn.Parameter(torch.randn(numbers.shape[1], d))
        self.offset = nn.Parameter(torch.randn(numbers.shape[1], d))
        self.map = nn.Linear(d, d)

    def forward(self, items: torch.Tensor) -> Tokens:
        bent = self.numbers[items, :, None] * self.direction + self.offset  # (I, N, d)
        return self.map(nn.functional.gelu(bent)), self.known[items]


class MultimodalFusion(nn.Module):
    """Eqs. (1), (3)–(6): an item's content as one vector.

    content: what is known of all items; it is kept out of the state dict, as it comes from the
    data set; d: size of the vectors; text_tokens: T; dropout: within the MLP of (5). Only the
    modalities that the data set has get parameters, and `modalities` names them. Raises InputError
    when there are none.
    """

    def __init__(
        self, content: ItemContent, d: int, text_tokens: int = 4, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.n_items = len(content.text)
        self.encoders = nn.ModuleDict()
        if content.text.any():
            self.encoders["text"] = TextTokens(content.text, d, text_tokens)
        if content.categories.any():
            self.encoders["categories"] = CategoryTokens(content.categories, d)
        if content.known_numbers.any():
            self.encoders["numbers"] = NumberTokens(content.numbers, content.known_numbers, d)
        self.modalities = tuple(self.encoders)
        n = len(self.modalities)
        if n == 0:
            raise InputError("no item has a text, a category or a number: nothing to fuse")
        self.query, self.key, self.value = (
            nn.ModuleList(nn.Linear(d, d, bias=False) for _ in range(n)) for _ in range(3)
        )
        self.norm = nn.ModuleList(nn.LayerNorm(d) for _ in range(n))
        self.w = nn.Parameter(torch.zeros(n, d))  # w_m of (6): equal weights at first
        self.beta = nn.Parameter(torch.tensor([0.5]))
        self.mlp = nn.Sequential(
            nn.Linear(n * d, 2 * d), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * d, d)
        )

    def forward(self, items: torch.Tensor | None = None) -> torch.Tensor:
        """h_fused (I, d) of `items` (I,) int64 ids, or of all, (n_items, d), where None."""
        vectors, weights, present = self.parts(items)
        some = present.any(1, keepdim=True)  # (I, 1)
        return fuse(weights, vectors, self.mlp(vectors.flatten(1)) * some, self.beta)

    def parts(
        self, items: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What (5) sums: h (I, M, d), α of (6) (I, M), and which modalities are there (I, M)."""
        if items is None:
            items = torch.arange(self.n_items, device=self.w.device)
        tokens = [encoder(items) for encoder in self.encoders.values()]
        present = torch.stack([there.any(1) for _, there in tokens], 1)  # (I, M)
        means = [_mean(*both) for both in tokens]  # (I, d) each: h_m of (1)
        keys = [key(token) for key, (token, _) in zip(self.key, tokens)]  # (I, T_n, d) each
        values = [value(token) for value, (token, _) in zip(self.value, tokens)]
        vectors = []
        for m, mean in enumerate(means):
            query, heard = self.query[m](mean), mean
            for n, (_, there) in enumerate(tokens):
                if n != m:
                    attention = cross_modal_attention(query, keys[n], there)
                    heard = heard + attended(attention, values[n])  # the residual of Figure 2
            vectors.append(self.norm[m](heard) * present[:, m, None])
        stacked = torch.stack(vectors, 1)  # (I, M, d)
        return stacked, modality_weights(stacked, self.w, present), present


def _mean(tokens: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """The mean (I, d) of the tokens that are there, zeros where none is."""
    shares = there / there.sum(1, keepdim=True).clamp(min=1)  # (I, T)
    return (shares.to(tokens.dtype)[..., None] * tokens).sum(1)
