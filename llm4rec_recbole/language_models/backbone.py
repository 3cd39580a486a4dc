"""The language model inside EnhancedGenRec: soft tokens in, states out.

    tokens (B, T, d) ─▶ in_proj, in_norm ─▶ first layers of a causal language model, with LoRA
                     ─▶ out_norm, out_proj ─▶ + tokens ─▶ states (B, T, d)

The weights of the language model stay as they were trained; LoRA (Hu et al., ICLR 2022) learns a
low-rank change of every linear map. Items have d dimensions, fewer than the language model. Two
linear maps convert between the two sizes, so the softmax over the catalogue stays small. The token
is added to its state, so what the item is need not pass through a frozen model.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from llm4rec_recbole.language_models.load import add_lora, decoder_of, load_model


class Backbone(nn.Module):
    """LLM(·) of Eq. (12): states of soft tokens."""

    def __init__(
        self, name: str, layers: int | None, d: int, rank: int, dropout: float, dtype: torch.dtype
    ) -> None:
        """name, layers: see load_language_model; d: size of tokens and states; rank: of LoRA, 0 for
        none; dropout: on tokens and states; dtype: in which the language model computes."""
        super().__init__()
        model = load_model(name, layers, dtype)
        self.body = decoder_of(model, name)
        self.body.set_attn_implementation("eager")  # faster than a fused kernel on short sequences
        self.dtype = dtype
        width = model.config.hidden_size
        scale = float(model.get_input_embeddings().weight.detach().float().std())
        self.body.embed_tokens = nn.Identity()  # unused: the tokens are soft
        self.body.norm = nn.Identity()  # it was trained for the states of the last layer
        if not name.startswith("scratch-"):  # an untrained model learns all its weights
            self.body.requires_grad_(False)
            if rank:
                add_lora(self.body, rank)
        self.in_proj = nn.Linear(d, width)
        self.in_norm = nn.RMSNorm(width)
        nn.init.constant_(self.in_norm.weight, scale)  # the scale of the word embeddings
        self.dropout = nn.Dropout(dropout)
        self.out_norm = nn.RMSNorm(width)
        self.out_proj = nn.Linear(width, d)

    def forward(
        self, tokens: Tensor, mask: Tensor, positions: Tensor, position: Tensor | None = None
    ) -> Tensor:
        """States (B, T, d) float32 of tokens (B, T, d); each token attends to earlier ones.

        mask: (B, T), 0 where there is no token; each row's first token exists. positions: (B, T),
        of the tokens. position: (B,), the index of the one token of each row whose state is needed;
        the result is then (B, 1, d).
        """
        precision = torch.autocast(
            tokens.device.type, self.dtype, enabled=self.dtype != torch.float32
        )
        with precision, only_position(self.body, position):
            inputs = self.dropout(self.in_norm(self.in_proj(tokens).float()))  # (B, T, width)
            states = self.body(
                inputs_embeds=inputs.to(self.dtype),
                attention_mask=causal_mask(mask, self.dtype) if is_llama(self.body) else mask,
                position_ids=positions,
                use_cache=False,
            ).last_hidden_state
            if position is not None:
                tokens = select_position(tokens, position)
                states = select_position(states, position)
            return tokens + self.out_proj(self.dropout(self.out_norm(states.float()))).float()


def is_llama(body: nn.Module) -> bool:
    """Whether `body` is transformers' LlamaModel, as SmolLM2 is: the shortcuts below then apply."""
    from transformers import LlamaModel

    return type(body) is LlamaModel


def causal_mask(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """The term added to the attention logits, (B, 1, T, T): 0, or the smallest number where a token
    is later or, by `mask` (B, T), does not exist. transformers computes the same, but takes
    milliseconds."""
    length = mask.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
    hidden = ~(earlier & mask[:, None, None, :].bool())  # (B, 1, T, T)
    return torch.zeros(hidden.shape, dtype=dtype, device=mask.device).masked_fill_(
        hidden, torch.finfo(dtype).min
    )


def select_position(x: Tensor, position: Tensor) -> Tensor:
    """The token at `position` (B,) of each row of x (B, T, d), (B, 1, d); x itself if T is 1."""
    if x.shape[1] == 1:
        return x
    return x[torch.arange(len(x), device=x.device), position][:, None]


@contextmanager
def only_position(body: nn.Module, position: Tensor | None) -> Iterator[None]:
    """Within the block the last layer of a Llama computes the state of one token a row, (B, 1, w),
    in its widest maps. Does nothing for other models, or if `position` is None."""
    if position is None or not is_llama(body):
        yield
        return
    layer: Any = body.layers[-1]  # type: ignore[index]

    def forward(states: Tensor, **options: Any) -> Tensor:
        attended = layer.self_attn(hidden_states=layer.input_layernorm(states), **options)[0]
        states = select_position(states + attended, position)
        return states + layer.mlp(layer.post_attention_layernorm(states))

    layer.forward = forward
    try:
        yield
    finally:
        del layer.forward  # restores the method of the class
