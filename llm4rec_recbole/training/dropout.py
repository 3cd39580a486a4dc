"""Dropout from random bytes: on a CPU, PyTorch draws one float a number, four times slower."""

from __future__ import annotations

import torch
from torch import nn


class ByteDropout(nn.Dropout):
    """Zeroes a share of p, rounded to a multiple of 1/256, and scales the rest to keep the mean.

    Draws from torch's global generator, so a seed and a checkpoint cover it.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0 or input.device.type != "cpu":
            return super().forward(input)
        threshold = round(self.p * 256)
        size = input.numel()
        draws = torch.empty(-(-size // 8), dtype=torch.int64).random_(-(2**63), None)
        keep = draws.view(torch.uint8)[:size].view(input.shape) >= threshold
        return input * (keep * (256 / (256 - threshold))).to(input.dtype)


def use_byte_dropout(model: nn.Module) -> None:
    """Give every plain nn.Dropout inside `model` the faster forward pass."""
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = ByteDropout
