"""Token sequences of different lengths as one tensor."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def padded(
    rows: Sequence[Sequence[int]], device: torch.device | str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens (B, T) int64, 0 on the right, and which of them are real, (B, T) bool.

    T is the longest row's length, at least 1.
    """
    lengths = torch.tensor([len(row) for row in rows])
    mask = torch.arange(max(1, int(lengths.max()))) < lengths[:, None]
    tokens = torch.zeros(mask.shape, dtype=torch.long)
    tokens[mask] = torch.tensor([token for row in rows for token in row], dtype=torch.long)
    return tokens.to(device), mask.to(device)
