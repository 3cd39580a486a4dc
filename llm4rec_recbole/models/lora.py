"""LoRA (Hu et al., ICLR 2022) on a language model, through peft."""

from __future__ import annotations

from torch import nn


def add_lora(body: nn.Module, rank: int) -> None:
    """Put LoRA of `rank` on every linear map of `body`, in place; only LoRA requires gradients.

    peft gives LoRA the type of the weights that it changes. In bfloat16 small updates would be
    rounded away, so its weights are float32; under autocast they still multiply in bfloat16.
    """
    from peft import LoraConfig, inject_adapter_in_model

    linear = {name for name, module in body.named_modules() if isinstance(module, nn.Linear)}
    targets = sorted({name.rpartition(".")[2] for name in linear})
    body.requires_grad_(False)
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets), body)
    for module in body.modules():
        if hasattr(module, "lora_A"):  # else peft copies every input to float32, autocast back
            vars(module)["cast_input_dtype_enabled"] = False
    for parameter in body.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
