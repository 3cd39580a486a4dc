"""The interface of language models for decoding: read B prompts once, grow a tree below each.

    prompt ──▶ root ──┬─▶ a ──┬─▶ c         The tokens of one or several depths of a user's tree
                      │       └─▶ d         pass through the model together. Each token attends to
                      └─▶ b ────▶ e         the prompt, its ancestors and itself.

A prompt is never copied for its beams, and its keys and values are computed once. This makes it
faster than one row per beam. CausalTreeDecoder is for decoder-only models, T5TreeDecoder for T5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad, rms_norm, scaled_dot_product_attention


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


def padded(rows: Sequence[Sequence[int]], device: torch.device | str) -> tuple[Tensor, Tensor]:
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
    mask of four dimensions, as transformers' models do; one that wraps such a model has it as
    `body`. head: its last states to logits, without bias.
    """

    def __init__(self, backbone: Any, head: Any) -> None:
        self.backbone, self.head = backbone, head
        options = signature(getattr(backbone, "body", backbone).forward).parameters
        # transformers 5 has renamed the argument, and accepts the old name until 5.40.
        self.cache_option = "cache" if "cache" in options else "past_key_values"

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
            use_cache=True,
            **{self.cache_option: cache},
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
            use_cache=True,
            **{self.cache_option: memory.cache},
        ).last_hidden_state  # (B, N, d)
        if store:
            memory.n_stored += n_tokens
        else:
            memory.cache.crop(-n_tokens)  # transformers 5 takes no new length
        return states


# T5, with its weights unchanged. transformers' decoder numbers its tokens one after another, but
# siblings of a tree have the same position. So the decoder's layers are called here, with positions
# from the tree.

KeysValues = tuple[Tensor, Tensor]  # (B, H, keys, d_head) each
_CPU_BATCH = 32  # prompts that a CPU encodes at once: their states fit into its cache
_LANES = 16  # attention on a CPU is twice as fast with a multiple of this many keys


@dataclass
class _T5Memory:
    cross: list[KeysValues]  # of the prompt, for each layer
    own: list[KeysValues]  # of the start token and the stored tokens, for each layer
    to_prompt: Tensor  # (B, 1, 1, T) additive
    depth: Tensor  # (1 + M,)


class T5TreeDecoder:
    """A T5ForConditionalGeneration as a TreeDecoder; the start token is the root. It is
    differentiable, so training can compute several answers to a prompt in one pass."""

    def __init__(self, model: Any, n_output: int | None = None) -> None:
        """n_output: how many tokens, from 0, can be written; None for all."""
        self.model, self.n_output = model, n_output

    @property
    def output(self) -> Tensor:
        """See TreeDecoder."""
        return self.model.lm_head.weight[: self.n_output]

    def read(self, prompts: Tensor, mask: Tensor) -> tuple[_T5Memory, Tensor]:
        """See TreeDecoder."""
        encoded, mask = self._encode(prompts, mask)  # (B, T, d)
        cross, own = [], []
        for block in self.model.decoder.block:
            attention = block.layer[1].EncDecAttention
            keys = _heads(attention, attention.k(encoded))
            cross.append((keys, _heads(attention, attention.v(encoded))))
            own.append((keys[:, :, :0], keys[:, :, :0]))
        no_depth = torch.empty(0, dtype=torch.long, device=prompts.device)
        memory = _T5Memory(cross, own, additive(mask[:, None, None], encoded.dtype), no_depth)
        start = torch.full_like(prompts[:, :1], self.model.config.decoder_start_token_id)
        sees = torch.ones(1, 1, 1, dtype=torch.bool, device=prompts.device)
        return memory, self._run(memory, start, torch.zeros_like(start[0]), sees, store=True)[:, 0]

    def _encode(self, prompts: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the encoder's states and their mask; without gradients in fewer passes."""
        encoder = self.model.encoder
        if encoder.training or torch.is_grad_enabled():
            return encoder(input_ids=prompts, attention_mask=mask.long()).last_hidden_state, mask
        more = -prompts.shape[1] % _LANES
        prompts, mask = pad(prompts, (0, more)), pad(mask, (0, more))
        position = torch.arange(prompts.shape[1], device=prompts.device)
        bias = _position_bias(encoder.block[0].layer[0].SelfAttention, position, position)
        size = len(prompts) if prompts.is_cuda else _CPU_BATCH
        batches = zip(prompts.split(size), mask.split(size))
        return torch.cat([self._encode_batch(*batch, bias) for batch in batches]), mask

    def _encode_batch(self, prompts: Tensor, mask: Tensor, bias: Tensor) -> Tensor:
        """Return states (B, T, d) of prompts (B, T). bias: of their positions, (1, H, T, T)."""
        encoder = self.model.encoder
        x = encoder.embed_tokens(prompts)
        bias = bias + additive(mask[:, None, None], x.dtype)  # (B, H, T, T)
        for block in encoder.block:
            own, feed_forward = block.layer
            attention = own.SelfAttention
            y = _normed(own.layer_norm, x)
            keys, values = _heads(attention, attention.k(y)), _heads(attention, attention.v(y))
            x = feed_forward(x + _attend(attention, y, keys, values, bias))
        return _normed(encoder.final_layer_norm, x)

    def grow(
        self, memory: _T5Memory, tokens: Tensor, depth: Tensor, sees: Tensor, store: bool
    ) -> Tensor:
        """See TreeDecoder."""
        return self._run(memory, tokens, depth, pad(sees, (1, 0), value=True), store)

    def _run(
        self,
        memory: _T5Memory,
        tokens: Tensor,  # (B, N)
        depth: Tensor,  # (N,)
        sees: Tensor,  # (B or 1, N, 1 + M + N), the root included
        store: bool,
    ) -> Tensor:
        decoder = self.model.decoder
        depths = torch.cat([memory.depth, depth])  # (1 + M + N,)
        more = 0 if torch.is_grad_enabled() else -len(depths) % _LANES  # keys that no token sees
        bias = _position_bias(
            decoder.block[0].layer[0].SelfAttention, depth, pad(depths, (0, more))
        )
        bias = bias + additive(pad(sees, (0, more))[:, None], bias.dtype)  # (B or 1, H, N, keys)
        x = decoder.dropout(decoder.embed_tokens(tokens))  # (B, N, d)
        for number, block in enumerate(decoder.block):
            own, cross, feed_forward = block.layer
            attention = own.SelfAttention
            y = _normed(own.layer_norm, x)
            stored_keys, stored_values = memory.own[number]
            filler = stored_keys.new_zeros((*stored_keys.shape[:2], more, stored_keys.shape[3]))
            keys = torch.cat([stored_keys, _heads(attention, attention.k(y)), filler], 2)
            values = torch.cat([stored_values, _heads(attention, attention.v(y)), filler], 2)
            x = x + own.dropout(_attend(attention, y, keys, values, bias))
            y = _normed(cross.layer_norm, x)
            attended = _attend(cross.EncDecAttention, y, *memory.cross[number], memory.to_prompt)
            x = x + cross.dropout(attended)
            x = feed_forward(x)
            if store:
                memory.own[number] = (keys[:, :, : len(depths)], values[:, :, : len(depths)])
        if store:
            memory.depth = depths
        x = decoder.dropout(_normed(decoder.final_layer_norm, x))
        if self.model.config.tie_word_embeddings:
            x = x * self.model.model_dim**-0.5
        return x


def _heads(attention: Any, x: Tensor) -> Tensor:
    """(B, N, H * d_head) to (B, H, N, d_head)."""
    return x.unflatten(2, (attention.n_heads, attention.key_value_proj_dim)).transpose(1, 2)


def _attend(attention: Any, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """(B, N, d): T5's attention does not divide by √d_head."""
    out = scaled_dot_product_attention(
        _heads(attention, attention.q(x)),
        keys,
        values,
        attn_mask=bias,
        dropout_p=attention.dropout if attention.training else 0.0,
        scale=1.0,
    )
    return attention.o(out.transpose(1, 2).flatten(2))


def _normed(norm: Any, x: Tensor) -> Tensor:
    """T5's layer norm. Without gradients it takes fewer passes over x."""
    if torch.is_grad_enabled():
        return norm(x)
    return rms_norm(x, norm.weight.shape, norm.weight, norm.variance_epsilon)


def _position_bias(attention: Any, depth: Tensor, depths: Tensor) -> Tensor:
    """T5's relative position bias from tokens at `depth` (N,) to tokens at `depths` (M,),
    (1, H, N, M)."""
    bucket = attention._relative_position_bucket(
        depths - depth[:, None],
        bidirectional=not attention.is_decoder,
        num_buckets=attention.relative_attention_num_buckets,
        max_distance=attention.relative_attention_max_distance,
    )
    return attention.relative_attention_bias(bucket).permute(2, 0, 1).contiguous()[None]
