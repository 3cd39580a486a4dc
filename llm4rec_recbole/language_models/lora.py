"""LoRA (Hu et al., ICLR 2022) on a language model: peft's layers, with one matrix product each.

    y = x Wᵀ + s (x Aᵀ) Bᵀ = x (W + s B A)ᵀ

peft computes the left side: two more products, and three passes over y. With a few hundred tokens
or more it is cheaper to add s B A to W first, in every call. In bfloat16 the sum is rounded to the
precision of W. A change of less than half a unit in the last place of a weight is then lost to the
product, although A and B accumulate it. A training step changes most weights by more; an online
update may not.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable


class _MergedLinear(torch.autograd.Function):
    """x (…, in) to (…, out) in the dtype of `weight`; differentiable once, in x, a and b."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,  # (out, in), frozen
        a: torch.Tensor,  # (rank, in)
        b: torch.Tensor,  # (out, rank)
        scale: float,
    ) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1]).to(weight.dtype)  # (N, in)
        low_a, low_b = a.to(weight.dtype), b.to(weight.dtype)
        merged = torch.addmm(weight, low_b, low_a, alpha=scale)
        ctx.save_for_backward(flat, merged, low_a, low_b)
        ctx.scale, ctx.shape, ctx.dtype, ctx.lora_dtype = scale, x.shape, x.dtype, a.dtype
        return (flat @ merged.T).view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *d_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
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
