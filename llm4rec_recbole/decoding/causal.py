"""Trees of tokens below a causal language model of transformers: Llama, SmolLM2, Qwen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from llm4rec_recbole.decoding.tree_decoder import additive


@dataclass
class _Memory:
    cache: Any  # transformers' DynamicCache: prompt, then the tokens kept
    mask: torch.Tensor  # (B, T) bool, the prompt's
    kept: int = 0  # M


class CausalTreeDecoder:
    """A decoder-only model as a TreeDecoder.

    backbone: the model without its head, such as `LlamaForCausalLM.model`, with or without LoRA; it
    must take position ids and a mask of four dimensions, as transformers' own do. head: the linear
    map from its last states to logits, without bias.
    """

    def __init__(self, backbone: Any, head: Any) -> None:
        self.backbone, self.head = backbone, head

    @property
    def output(self) -> torch.Tensor:
        """See TreeDecoder."""
        return self.head.weight

    def read(self, prompts: torch.Tensor, mask: torch.Tensor) -> tuple[_Memory, torch.Tensor]:
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
        self,
        memory: _Memory,
        tokens: torch.Tensor,
        depth: torch.Tensor,
        sees: torch.Tensor,
        keep: bool,
    ) -> torch.Tensor:
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
        if keep:
            memory.kept += n_tokens
        else:
            memory.cache.crop(memory.mask.shape[1] + memory.kept)
        return states
