"""Multimodal fusion: Eqs. (1) and (3)–(6). Eq. (2) is language_models/text_encoder.py.

    text ───f_text──▶ T tokens ─┐ mean ▶ h_text ──┐
    categories f_c ─▶ 1 a category ─ mean ▶ h_cat ─┤ each h_m attends to the tokens of every
    numbers ──f_n───▶ 1 a number ─── mean ▶ h_num ─┘ other modality n: A_{m→n} (3), h_{m←n} (4)
                                                   │ + residual, norm           (Figure 2)
                 Σ_m α_m h_m (6)  +  β · MLP([h_text; h_cat; h_num])  ▶ h_fused (5)

What does the attention run over? The paper writes one vector h_m for each modality. A softmax over
one key is 1, and (3) would do nothing. Attention over the items of a batch would make an item's
vector depend on the other items. So each modality is a few tokens of its own item: one for each
category, one for each number, and T linear read-outs of the text vector. h_m is their mean, and in
(3) h_m attends to the tokens of n. Every modality has its own Q, K and V, so A_{m→n} and A_{n→m}
differ: this is the asymmetry.

(5) names text, pictures and sound. The data sets have no pictures and no sound, so the
concatenation runs over the modalities of the data set. A modality that an item lacks has no tokens,
no keys, weight 0 in (6) and zeros in (5). An item without any content has h_fused = 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from llm4rec_recbole.components.fusion.item_content import TEXT_WIDTH, ItemContent, whitened
from llm4rec_recbole.errors import InputError

Tokens = tuple[Tensor, Tensor]  # (I, T, d), and the mask of the tokens, (I, T) bool


# An item has few tokens: products and sums are faster here than thousands of tiny matrix products.


def encode_modality(tokens: Tensor, is_token: Tensor) -> Tensor:
    """Eq. (1): h_m = f_m(x_m; θ_m), (I, d): the mean of the tokens of modality m, zeros without
    tokens. The token classes below compute the tokens (I, T, d); is_token: (I, T) bool."""
    shares = is_token / is_token.sum(1, keepdim=True).clamp(min=1)  # (I, T)
    return (shares.to(tokens.dtype)[..., None] * tokens).sum(1)


def cross_modal_attention(query: Tensor, keys: Tensor, is_token: Tensor) -> Tensor:
    """Eq. (3): A_{m→n} = softmax(Q_m K_nᵀ / √d_k), (I, T); zeros for an item without tokens.

    query: (I, d_k), of modality m; keys: (I, T, d_k), of n's tokens; is_token: (I, T) bool.
    """
    scores = (query[:, None] * keys).sum(-1) / math.sqrt(query.shape[-1])
    return _masked_softmax(scores, is_token)


def attended(attention: Tensor, values: Tensor) -> Tensor:
    """Eq. (4): h_{m←n} = A_{m→n} V_n h_n, (I, d). attention: (I, T); values: (I, T, d)."""
    return (attention[..., None] * values).sum(1)


def fuse(weights: Tensor, vectors: Tensor, mixed: Tensor, beta: Tensor) -> Tensor:
    """Eq. (5): h_fused = Σ_m α_m h_m + β · MLP([h_1; …; h_M]), (I, d).

    weights: α (I, M); vectors: h (I, M, d); mixed: the MLP's output (I, d); beta: a scalar.
    """
    return (weights[..., None] * vectors).sum(1) + beta * mixed


def modality_weights(vectors: Tensor, w: Tensor, present: Tensor) -> Tensor:
    """Eq. (6): α_m = exp(w_mᵀ h_m) / Σ_n exp(w_nᵀ h_n) over the modalities present, (I, M).

    vectors: (I, M, d); w: (M, d); present: (I, M) bool. An item without any gets zeros.
    """
    return _masked_softmax((vectors * w).sum(-1), present)


def _masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where `mask` is True. A row without any is 0, its gradient too."""
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~mask, lowest).softmax(-1) * mask


class TextTokens(nn.Module):
    """Tokens of Eq. (1) for text: T linear read-outs of the frozen encoder's vector, whitened.
    The vectors of an encoder share a mean and few directions; whitened ones tell items apart."""

    text: Tensor
    has_text: Tensor

    def __init__(self, text: Tensor, d: int, n_tokens: int) -> None:
        """text: (n_items, d_text); n_tokens: T."""
        super().__init__()
        white = torch.from_numpy(whitened(text.numpy(), min(TEXT_WIDTH, text.shape[1])))
        self.register_buffer("text", white, persistent=False)
        self.register_buffer("has_text", (text != 0).any(1), persistent=False)
        self.n_tokens = n_tokens
        self.read = nn.Linear(white.shape[1], n_tokens * d)

    def forward(self, items: Tensor) -> Tokens:
        is_token = self.has_text[items, None].expand(-1, self.n_tokens)
        return self.read(self.text[items]).unflatten(1, (self.n_tokens, -1)), is_token


class CategoryTokens(nn.Module):
    """Tokens of Eq. (1) for categories: a vector for each; categories: (n_items, C) as in
    ItemContent."""

    categories: Tensor

    def __init__(self, categories: Tensor, d: int) -> None:
        super().__init__()
        self.register_buffer("categories", categories, persistent=False)
        self.embedding = nn.Embedding(int(categories.max()) + 1, d, padding_idx=0)

    def forward(self, items: Tensor) -> Tokens:
        ids = self.categories[items]  # (I, C)
        return self.embedding(ids), ids > 0


class NumberTokens(nn.Module):
    """Tokens of Eq. (1) for numbers, standardised as in ItemContent.

    Each is x · direction + offset, then GELU and a linear map. The GELU lets a token respond to the
    middle of a scale.
    """

    numbers: Tensor
    is_number: Tensor

    def __init__(self, numbers: Tensor, is_number: Tensor, d: int) -> None:
        """numbers, is_number: (n_items, N)."""
        super().__init__()
        self.register_buffer("numbers", numbers, persistent=False)
        self.register_buffer("is_number", is_number, persistent=False)
        self.direction = nn.Parameter(torch.randn(numbers.shape[1], d))
        self.offset = nn.Parameter(torch.randn(numbers.shape[1], d))
        self.map = nn.Linear(d, d)

    def forward(self, items: Tensor) -> Tokens:
        lines = self.numbers[items, :, None] * self.direction + self.offset  # (I, N, d)
        return self.map(nn.functional.gelu(lines)), self.is_number[items]


class MultimodalFusion(nn.Module):
    """Eqs. (1) and (3)–(6): the content of an item as one vector. Only the modalities of the data
    set have parameters; `modalities` names them. The content itself is not in the state dict."""

    def __init__(self, content: ItemContent, d: int, text_tokens: int) -> None:
        """content: of all items; d: size of the vectors; text_tokens: T. Raises InputError when the
        content is empty."""
        super().__init__()
        self.n_items = len(content.text)
        self.encoders = nn.ModuleDict()
        if content.text.any():
            self.encoders["text"] = TextTokens(content.text, d, text_tokens)
        if content.categories.any():
            self.encoders["categories"] = CategoryTokens(content.categories, d)
        if content.is_number.any():
            self.encoders["numbers"] = NumberTokens(content.numbers, content.is_number, d)
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
            nn.Linear(n * d, 2 * d), nn.GELU(), nn.Dropout(0.1), nn.Linear(2 * d, d)
        )

    def forward(self, items: Tensor | None = None) -> Tensor:
        """h_fused (I, d) of `items` (I,) int64 ids; of all items, (n_items, d), for None."""
        vectors, weights, present = self.summands(items)
        has_content = present.any(1, keepdim=True)  # (I, 1)
        return fuse(weights, vectors, self.mlp(vectors.flatten(1)) * has_content, self.beta)

    def summands(self, items: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """The terms of (5): h (I, M, d), α of (6) (I, M), and which modalities exist (I, M)."""
        if items is None:
            items = torch.arange(self.n_items, device=self.w.device)
        tokens = [encoder(items) for encoder in self.encoders.values()]
        present = torch.stack([is_token.any(1) for _, is_token in tokens], 1)  # (I, M)
        means = [encode_modality(*modality) for modality in tokens]  # (I, d) each: h_m of (1)
        vectors = []
        for m, mean in enumerate(means):
            query, total = self.query[m](mean), mean  # the residual of Figure 2
            for n, (token, is_token) in enumerate(tokens):
                if n != m:
                    # q·(K t) = (q K)·t and Σ a V t = V Σ a t: one product an item, not one a token.
                    attention = cross_modal_attention(query @ self.key[n].weight, token, is_token)
                    total = total + self.value[n](attended(attention, token))
            vectors.append(self.norm[m](total) * present[:, m, None])
        stacked = torch.stack(vectors, 1)  # (I, M, d)
        return stacked, modality_weights(stacked, self.w, present), present


class FusedContent(nn.Module):
    """The content term of EnhancedGenRec's item vectors: own + weight · h_fused."""

    def __init__(
        self, content: ItemContent, d: int, text_tokens: int, initial_weight: float
    ) -> None:
        """initial_weight: the learned weight's start. h_fused is normalised, and about ten times as
        long as the items' own vectors are at the start of training."""
        super().__init__()
        self.fusion = MultimodalFusion(content, d, text_tokens)
        self.weight = nn.Parameter(torch.tensor([initial_weight]))
        self.uses_text = "text" in self.fusion.modalities
        self._frozen: Tensor | None = None

    def add_to(self, own: Tensor, ids: Tensor | None = None) -> Tensor:
        """Item vectors from the items' own vectors `own`: (n_items, d), or (M, d) of `ids` (M,)."""
        if self._frozen is None:
            content = self.fusion(ids)
        else:
            content = self._frozen if ids is None else self._frozen[ids]
        return own + self.weight * content

    def freeze(self) -> None:
        """Compute h_fused of all items once, and train the fusion no further."""
        with torch.no_grad():
            self._frozen = self.fusion()
        self.fusion.requires_grad_(False)
