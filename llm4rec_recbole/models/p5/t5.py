"""P5's T5: from scratch with a small vocabulary, or pretrained with its own tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.language_models.sources import (
    as_input_error,
    load_complete,
    load_tokenizer,
    model_folder,
)
from llm4rec_recbole.models.p5.prompts import TokenizerWords, Words


def load_t5(config: Any, words: Callable[[], Words], n_more: int) -> tuple[Any, Any]:
    """Return a T5ForConditionalGeneration and its vocabulary.

    The model has `n_more` tokens after the vocabulary. `config["t5"]` is "scratch", or a T5's
    folder or name on the hub; `words` builds the vocabulary of a T5 from scratch. Raises InputError
    if the T5 cannot be loaded.
    """
    if config["t5"] == "scratch":
        vocabulary = words()
        return _new_t5(config, len(vocabulary) + n_more), vocabulary
    return _pretrained(config["t5"], n_more)


def _new_t5(config: Any, n_tokens: int) -> Any:
    from transformers import T5Config, T5ForConditionalGeneration
    from transformers.models.t5.modeling_t5 import T5Attention

    sizes = ("hidden_size", "n_heads", "inner_size", "n_layers")
    d, heads, inner, layers = (config[name] for name in sizes)
    if d % heads:
        raise InputError(f"hidden_size {d} is not a multiple of n_heads {heads}")
    t5 = T5ForConditionalGeneration(
        T5Config(
            vocab_size=n_tokens,
            d_model=d,
            d_kv=d // heads,
            num_heads=heads,
            d_ff=inner,
            num_layers=layers,
            num_decoder_layers=layers,
            dropout_rate=config["hidden_dropout_prob"],
            pad_token_id=Words.pad,
            eos_token_id=Words.end,
            decoder_start_token_id=Words.pad,
        )
    )
    for module in t5.modules():
        if isinstance(module, T5Attention):
            module.dropout = config["attn_dropout_prob"]
    return t5


def _pretrained(name: str, n_more: int) -> tuple[Any, TokenizerWords]:
    from transformers import T5ForConditionalGeneration

    hint = "a T5's folder, its name on the hub where there is a network, or `scratch`"
    folder = model_folder(name, "T5")
    with as_input_error("T5", name, hint):
        tokenizer = load_tokenizer(folder)
        t5 = load_complete(T5ForConditionalGeneration, folder)
    words = TokenizerWords(tokenizer, name, max(len(tokenizer), t5.config.vocab_size))
    t5.resize_token_embeddings(len(words) + n_more, mean_resizing=False)
    return t5, words
