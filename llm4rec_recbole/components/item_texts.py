"""A trained linear map of the items' texts, added to the item vectors of a SASRec.

    item vector = own vector + W t_i

t_i is the text encoder's vector of an item, whitened to 128 columns.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from llm4rec_recbole.components.fusion.item_content import TEXT_WIDTH, whitened


class ItemTexts(nn.Module):
    """W t_i, without a bias. The text vectors are not in the state dict."""

    vectors: Tensor

    def __init__(self, texts: np.ndarray, d: int, std: float) -> None:
        """texts: (n_items, width), zeros for none; d: size of the item vectors; std: root mean
        square of W t_i before the first step."""
        super().__init__()
        white = torch.from_numpy(whitened(texts, min(TEXT_WIDTH, texts.shape[1])))
        self.register_buffer("vectors", white, persistent=False)
        self.map = nn.Linear(white.shape[1], d, bias=False)
        nn.init.normal_(self.map.weight, std=std / white.shape[1] ** 0.5)

    def add_to(self, own: Tensor, ids: Tensor | None = None) -> Tensor:
        """Item vectors from the items' own vectors `own`: (n_items, d), or (M, d) of `ids` (M,)."""
        return own + self.map(self.vectors if ids is None else self.vectors[ids])


class NoTexts(nn.Module):
    """In place of ItemTexts: an item's vector is its own."""

    def add_to(self, own: Tensor, ids: Tensor | None = None) -> Tensor:
        return own
