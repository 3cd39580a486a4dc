"""The language model at the heart of GenRec and EnhancedGenRec: soft tokens in, states out.

    items (B, L, d) ─▶ up ─▶ first layers of a causal language model, LoRA ─▶ down ─▶ (B, L, d)

The language model's own weights stay as they were trained; LoRA (Hu et al., ICLR 2022) learns a
low-rank change of every linear map. Items live in d dimensions, fewer than the language model's:
two linear maps lead there and back, and the softmax over the catalogue stays small.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.language_models.load import decoder_of, load_language_model
from llm4rec_recbole.language_models.lora import add_lora
from llm4rec_recbole.language_models.text_encoder import fastest_dtype


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
        self.body = decoder_of(model, name)
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
        self,
        tokens: torch.Tensor,
        mask: torch.Tensor,
        positions: torch.Tensor,
        at: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """States (B, T, d) float32 of tokens (B, T, d), each seeing those before it.

        mask: (B, T), 0 where there is no token, the first is always there; positions: (B, T), as
        the model counts them; at: (B,), the one token of each row whose state is wanted, (B, 1, d).
        """
        with self._precision(tokens.device.type), only_position(self.body, at):
            inputs = self.dropout(self.enter(self.up(tokens).float()))
            states = self.body(
                inputs_embeds=inputs.to(self.dtype),
                attention_mask=causal_mask(mask, self.dtype) if is_llama(self.body) else mask,
                position_ids=positions,
                use_cache=False,
            ).last_hidden_state
            if at is not None:
                tokens, states = select_position(tokens, at), select_position(states, at)
            return tokens + self.down(self.dropout(self.leave(states.float()))).float()

    def _precision(self, device: str) -> AbstractContextManager[Any]:
        return torch.autocast(device, self.dtype, enabled=self.dtype != torch.float32)


def is_llama(body: nn.Module) -> bool:
    """Whether `body` is built as this file knows it, SmolLM2 too: it may then do less, below."""
    from transformers import LlamaModel

    return type(body) is LlamaModel


def causal_mask(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What is added to attention's logits, (B, 1, T, T): 0, or the least number where a token is
    later or, by `mask` (B, T), not there. transformers makes the same in milliseconds."""
    length = mask.shape[1]
    seen = torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
    hidden = ~(seen & mask[:, None, None, :].bool())  # (B, 1, T, T)
    return torch.zeros(hidden.shape, dtype=dtype, device=mask.device).masked_fill_(
        hidden, torch.finfo(dtype).min
    )


def select_position(x: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """The token `at` (B,) of each row of x (B, T, d), as (B, 1, d); x where it has but one."""
    return x if x.shape[1] == 1 else x[torch.arange(len(x), device=x.device), at][:, None]


@contextmanager
def only_position(body: nn.Module, at: torch.Tensor | None) -> Iterator[None]:
    """Within it, the last layer of a Llama gives the state of one token a row, (B, 1, width).

    No other token's state is looked at, so the layer's widest maps need not see them. Does nothing
    to any other model, or where `at` is None.
    """
    if at is None or not is_llama(body):
        yield
        return
    layer: Any = body.layers[-1]  # type: ignore[index]

    def forward(states: torch.Tensor, **given: Any) -> torch.Tensor:
        heard = layer.self_attn(hidden_states=layer.input_layernorm(states), **given)[0]
        states = select_position(states + heard, at)
        return states + layer.mlp(layer.post_attention_layernorm(states))

    layer.forward = forward
    try:
        yield
    finally:
        del layer.forward  # the class's own again


def compute_dtype(name: str, device: str) -> torch.dtype:
    """The type that the option `llm_dtype` names; `auto` is the fastest on `device`.

    Raises InputError for any other name.
    """
    types = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if name == "auto":
        return fastest_dtype(device)
    if name not in types:
        raise InputError(f"llm_dtype is {name}", hint="auto, float32 or bfloat16")
    return types[name]
