"""The language model at the heart of GenRec and EnhancedGenRec: soft tokens in, states out.

    items (B, L, d) ─▶ up ─▶ first layers of a causal language model, LoRA ─▶ down ─▶ (B, L, d)

The language model's own weights stay as they were trained; LoRA (Hu et al., ICLR 2022) learns a
low-rank change of every linear map. Items live in d dimensions, fewer than the language model's:
two linear maps lead there and back, and the softmax over the catalogue stays small.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from llm4rec_recbole.encoders.language_model import load_language_model
from llm4rec_recbole.encoders.text import fastest_dtype
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.models.lora import add_lora


class Backbone(nn.Module):
    """States of soft tokens.

    name, layers: as load_language_model takes them; d: of tokens and states; rank: of LoRA, 0 for
    none; dropout: on the tokens and the states; dtype: of the language model's arithmetic.
    """

    def __init__(
        self, name: str, layers: int | None, d: int, rank: int, dropout: float, dtype: torch.dtype
    ) -> None:
        super().__init__()
        model, _ = load_language_model(name, layers, dtype)
        self.body = model.get_decoder()
        self.body.set_attn_implementation("eager")  # for short sequences faster than a fused kernel
        self.dtype = dtype
        width = model.config.hidden_size
        scale = float(model.get_input_embeddings().weight.detach().float().std())
        self.body.embed_tokens = nn.Identity()  # never asked: its tokens are soft
        self.body.norm = nn.Identity()  # it was trained for the last layer's states
        if not name.startswith("scratch-"):  # nothing is known yet: all of it learns
            self.body.requires_grad_(False)
            if rank:
                add_lora(self.body, rank)
        self.up = nn.Linear(d, width)
        self.enter = nn.RMSNorm(width)
        nn.init.constant_(self.enter.weight, scale)  # what the layers are used to
        self.dropout = nn.Dropout(dropout)
        self.leave = nn.RMSNorm(width)
        self.down = nn.Linear(width, d)

    def forward(
        self, tokens: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        """States (B, T, d) float32 of tokens (B, T, d), each seeing those before it.

        mask: (B, T), 0 where there is no token; positions: (B, T), as the model counts them.
        """
        with self._precision(tokens.device.type):
            inputs = self.dropout(self.enter(self.up(tokens)))
            states = self.body(
                inputs_embeds=inputs.to(self.dtype),
                attention_mask=mask,
                position_ids=positions,
                use_cache=False,
            ).last_hidden_state
            return tokens + self.down(self.dropout(self.leave(states))).float()

    def _precision(self, device: str) -> AbstractContextManager[Any]:
        return torch.autocast(device, self.dtype, enabled=self.dtype != torch.float32)


def arithmetic(name: str, device: str) -> torch.dtype:
    """The type that the option `llm_dtype` names; `auto` is the fastest on `device`.

    Raises InputError for any other name.
    """
    types = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if name == "auto":
        return fastest_dtype(device)
    if name not in types:
        raise InputError(f"llm_dtype is {name}", hint="auto, float32 or bfloat16")
    return types[name]
