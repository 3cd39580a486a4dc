"""Random models small enough to check by brute force, and random catalogues."""

from __future__ import annotations

import functools
from typing import Any

import torch
from hypothesis import strategies as st

from llm4rec_recbole.decoding.tree_decoder import CausalTreeDecoder, T5TreeDecoder

VOCABULARY, END = 12, 1

token = st.integers(2, VOCABULARY - 1)
sequences = st.lists(token, min_size=0, max_size=4).map(tuple)
#: Distinct sequences; some begin others, one may be empty: such a catalogue needs an end token.
catalogues = st.lists(sequences, min_size=1, max_size=12, unique=True)


def random_model(architecture: str, head: str, **sizes: Any) -> Any:
    """A transformers model of `sizes`, drawn with a fixed seed: the same at every call."""
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{architecture}Config")(**sizes)
    return getattr(transformers, f"{architecture}{head}")(config).eval()


@functools.cache
def tiny_t5() -> Any:
    layers = {"num_layers": 2, "num_decoder_layers": 2, "num_heads": 2}
    widths = {"d_model": 16, "d_kv": 8, "d_ff": 32, "initializer_factor": 3.0}
    tokens = {"decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": END}
    return random_model(
        "T5", "ForConditionalGeneration", vocab_size=VOCABULARY, **layers, **widths, **tokens
    )


@functools.cache
def tiny_llama() -> Any:
    layers = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    widths = {"hidden_size": 16, "intermediate_size": 32, "initializer_range": 0.5}
    tokens = {"bos_token_id": 0, "pad_token_id": 0, "eos_token_id": END}
    return random_model("Llama", "ForCausalLM", vocab_size=VOCABULARY, **layers, **widths, **tokens)


MODELS = {"causal": tiny_llama, "t5": tiny_t5}


def decoder_of(kind: str) -> Any:
    model = MODELS[kind]()
    if kind == "causal":
        return CausalTreeDecoder(model.model, model.lm_head)
    return T5TreeDecoder(model)


def prompts(n: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """`n` random prompts of different lengths, (n, T), and where they are real."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(2, VOCABULARY, (n, n + 2), generator=generator)
    mask = torch.arange(n + 2) < torch.arange(3, n + 3)[:, None]
    return tokens.where(mask, 0), mask


@torch.no_grad()
def teacher_forced(kind: str, prompt: list[int], answer: list[int]) -> torch.Tensor:
    """Logits (len(answer), V) before each token of `answer`, by the model's own forward pass."""
    model = MODELS[kind]()
    if kind == "causal":
        return model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    return model(
        input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([[0, *answer[:-1]]])
    ).logits[0]


def one_by_one(kind: str, prompt: list[int], answer: list[int], allowed: Any = None) -> float:
    """log P(answer | prompt), token by token; `allowed(prefix)` restricts each step's softmax."""
    total = 0.0
    for position, logits in enumerate(teacher_forced(kind, prompt, answer)):
        if allowed is not None:
            allowed_logits = torch.full_like(logits, -torch.inf)
            tokens = allowed(answer[:position])
            allowed_logits[tokens] = logits[tokens]
            logits = allowed_logits
        total += logits.log_softmax(0)[answer[position]].item()
    return total
