"""The language model of GenRec: LoRA on a causal model, with the tokens that titles use alone.

A catalogue's titles use a few thousand tokens of fifty thousand. Only their rows of the input and
output embeddings are kept, so that a softmax over the vocabulary is over tokens that may come.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from llm4rec_recbole.decoding.causal import CausalTreeDecoder
from llm4rec_recbole.encoders.language_model import decoder_of, load_language_model
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.models.lora import add_lora


class TitleModel(nn.Module):
    """States of tokens, and their logits: `head` is linear, without bias, float32, and trains.

    name, layers: as load_language_model takes them; rank: of LoRA, 0 to train all weights; dtype:
    of the layers' arithmetic. Call `keep_tokens` once before use: until then the vocabulary is the
    tokenizer's.
    """

    def __init__(self, name: str, layers: int | None, rank: int, dtype: torch.dtype) -> None:
        super().__init__()
        model, self.tokenizer = load_language_model(name, layers, dtype if rank else torch.float32)
        self.dtype = dtype
        self.body = decoder_of(model, name)
        self.context: int = getattr(model.config, "max_position_embeddings", 1 << 30)
        output = model.get_output_embeddings().weight
        self.head = nn.Linear(output.shape[1], output.shape[0], bias=False)
        self.head.weight = nn.Parameter(output.detach().float().clone())
        if rank:
            add_lora(self.body, rank)
        if layers is not None:  # norm and head were trained for the last layer's states:
            nn.init.ones_(self.body.norm.weight)
            self.head.weight.data *= 0.1  # start with little confidence
        self.decoder = CausalTreeDecoder(self, self.head)
        self.train()

    def train(self, mode: bool = True) -> TitleModel:
        """As nn.Module's. On a CPU the fused attention is fast, but not backwards."""
        slow = mode and self.head.weight.device.type == "cpu"
        self.body.set_attn_implementation("eager" if slow else "sdpa")
        return super().train(mode)

    def keep_tokens(self, tokens: list[int]) -> None:
        """Make `tokens` of the tokenizer the whole vocabulary, numbered in this order."""
        kept = torch.tensor(tokens)
        old = self.body.get_input_embeddings().weight
        rows = nn.Embedding(len(tokens), old.shape[1], dtype=old.dtype)
        rows.weight = nn.Parameter(old.detach()[kept].clone(), requires_grad=old.requires_grad)
        self.body.set_input_embeddings(rows)
        self.head.weight = nn.Parameter(self.head.weight.detach()[kept].clone())
        self.head.out_features = len(tokens)

    def forward(self, **inputs: Any) -> Any:
        """As transformers' own models are called; the last states (B, T, d) are float32."""
        device, mask = self.head.weight.device.type, inputs.get("attention_mask")
        if mask is not None and mask.is_floating_point():  # it must be of the queries' type
            inputs["attention_mask"] = mask.to(self.dtype)
        with torch.autocast(device, self.dtype, enabled=self.dtype != torch.float32):
            out = self.body(**inputs)
        out.last_hidden_state = out.last_hidden_state.float()
        return out


def end_of_title(tokenizer: Any, name: str) -> int:
    """The token that ends a title: a new line, else the tokenizer's end of text.

    Raises InputError when the tokenizer has neither.
    """
    line = tokenizer.encode("\n", add_special_tokens=False)
    if len(line) == 1 and line[0] != tokenizer.unk_token_id:
        return line[0]
    if tokenizer.eos_token_id is None:
        raise InputError(f"the tokenizer of {name!r} has neither a new line nor an end of text")
    return tokenizer.eos_token_id
