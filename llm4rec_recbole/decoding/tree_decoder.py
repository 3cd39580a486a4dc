"""The interface of language models for decoding: read B prompts once, grow a tree below each.

    prompt ──▶ root ──┬─▶ a ──┬─▶ c         The tokens of one or several depths of a user's tree
                      │       └─▶ d         pass through the model together. Each token attends to
                      └─▶ b ────▶ e         the prompt, its ancestors and itself.

A prompt is never copied for its beams, and its keys and values are computed once. This makes it
faster than one row per beam. CausalTreeDecoder is for decoder-only models; t5.py is for T5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


class TreeDecoder(Protocol):
    """A language model that grows trees of tokens below prompts. The logits of a state (d,) are
    `output` @ state; a caller may compute only some of them."""

    @property
    def output(self) -> Tensor:
        """The output embeddings (V, d)."""

    def read(self, prompts: Tensor, mask: Tensor) -> tuple[Any, Tensor]:
        """Read prompts (B, T), padded on the right where mask (B, T) is False. Returns the memory
        for `grow`, and the states (B, d) that predict the first token."""

    def grow(self, memory: Any, tokens: Tensor, depth: Tensor, sees: Tensor, store: bool) -> Tensor:
        """The states (B, N, d) after each of N tokens (B, N) of the tree.

        depth: (N,), from 1, the number of tokens from the root to each, itself included; sees:
        (B or 1, N, M + N) bool, which of the M stored tokens and of these N each one attends to:
        its ancestors and itself. With `store` the N tokens join the stored ones in `memory`.
        """


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return 0 where `mask` is True, the lowest number of `dtype` elsewhere."""
    zeros = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    return zeros.masked_fill_(~mask, torch.finfo(dtype).min)


def padded(
    rows: Sequence[Sequence[int]], device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Tokens (B, T) int64, padded with 0 on the right, and their mask (B, T) bool; T is at
    least 1."""
    lengths = torch.tensor([len(row) for row in rows])
    mask = torch.arange(max(1, int(lengths.max()))) < lengths[:, None]
    tokens = torch.zeros(mask.shape, dtype=torch.long)
    tokens[mask] = torch.tensor([token for row in rows for token in row], dtype=torch.long)
    return tokens.to(device), mask.to(device)


@dataclass
class _Memory:
    cache: Any  # transformers' DynamicCache: the prompt, then the stored tokens
    mask: Tensor  # (B, T) bool, the prompt's
    n_stored: int = 0  # M


class CausalTreeDecoder:
    """A decoder-only model as a TreeDecoder.

    backbone: the model without its head, with or without LoRA. It must accept position ids and a
    mask of four dimensions, as transformers' models do. head: its last states to logits, without
    bias.
    """

    def __init__(self, backbone: Any, head: Any) -> None:
        self.backbone, self.head = backbone, head

    @property
    def output(self) -> Tensor:
        """See TreeDecoder."""
        return self.head.weight

    def read(self, prompts: Tensor, mask: Tensor) -> tuple[_Memory, Tensor]:
        """See TreeDecoder. Every prompt has at least one token."""
        from transformers import DynamicCache

        cache = DynamicCache()
        positions = torch.arange(prompts.shape[1], device=prompts.device).expand_as(prompts)
        states = self.backbone(
            input_ids=prompts,
            attention_mask=mask.long(),
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state  # (B, T, d)
        last = mask.sum(1) - 1
        return _Memory(cache, mask), states[torch.arange(len(last)), last]

    def grow(
        self, memory: _Memory, tokens: Tensor, depth: Tensor, sees: Tensor, store: bool
    ) -> Tensor:
        """See TreeDecoder."""
        n_prompts, n_tokens = tokens.shape
        to_prompt = memory.mask[:, None].expand(-1, n_tokens, -1)  # (B, N, T)
        to_tree = sees.expand(n_prompts, -1, -1)  # (B, N, M + N)
        dtype = next(self.backbone.parameters()).dtype
        attended = additive(torch.cat([to_prompt, to_tree], 2), dtype)[:, None]  # (B, 1, N, T+M+N)
        states = self.backbone(
            input_ids=tokens,
            attention_mask=attended,
            position_ids=memory.mask.sum(1, keepdim=True) + depth - 1,  # (B, N)
            past_key_values=memory.cache,
            use_cache=True,
        ).last_hidden_state  # (B, N, d)
        if store:
            memory.n_stored += n_tokens
        else:
            memory.cache.crop(memory.mask.shape[1] + memory.n_stored)
        return states
