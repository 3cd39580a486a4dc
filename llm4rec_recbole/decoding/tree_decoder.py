"""What decoding asks of a language model: read B prompts once, then grow a tree below each.

    prompt ──▶ root ──┬─▶ a ──┬─▶ c         tokens that stand at one depth of a user's tree, or in
                      │       └─▶ d         several depths at once, go through the model together:
                      └─▶ b ────▶ e         each attends to the prompt, its ancestors and itself

A prompt is never copied for its beams, and its keys and values are made once: that is where the
speed over one row for each beam comes from.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch


class TreeDecoder(Protocol):
    """A language model that grows trees of tokens below prompts.

    The logits of a state (d,) are `output` @ state; whoever needs few of them makes only those.
    """

    @property
    def output(self) -> torch.Tensor:
        """The output embeddings (V, d)."""
        ...

    def read(self, prompts: torch.Tensor, mask: torch.Tensor) -> tuple[Any, torch.Tensor]:
        """Read prompts (B, T), padded on the right where mask (B, T) is False.

        Returns what `grow` continues, and the states (B, d) that tell the first token.
        """
        ...

    def grow(
        self,
        memory: Any,
        tokens: torch.Tensor,
        depth: torch.Tensor,
        sees: torch.Tensor,
        keep: bool,
    ) -> torch.Tensor:
        """The states (B, N, d) after each of N tokens (B, N) of the tree.

        depth: (N,), from 1, how many tokens lead from the root to each, itself included; sees:
        (B or 1, N, M + N) bool, which of the M tokens kept so far and of these N each one attends
        to: its ancestors and itself. With `keep` the N tokens join those kept in `memory`.
        """
        ...


def additive(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """0 where `mask` is True, the lowest number of `dtype` elsewhere."""
    zeros = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    return zeros.masked_fill_(~mask, torch.finfo(dtype).min)
