"""The loss that the option `loss` names, with the negatives that it draws."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from llm4rec_recbole.training.losses import (
    full_cross_entropy,
    gbce,
    gbce_power,
    sampled_cross_entropy,
)

FULL_UP_TO = 4096  # items, pad included: with more the option `loss: auto` samples negatives


def catalogue_loss(config: Any, dataset: Any) -> Callable[..., torch.Tensor]:
    """The loss of LossOptions (training/options.py), called as full_cross_entropy.

    dataset: RecBole's training data.
    """
    name = config["loss"] or "auto"
    if name == "auto":
        name = "full" if dataset.item_num <= FULL_UP_TO else "sampled"
    if name == "full":
        return full_cross_entropy
    items = dataset.inter_feat[dataset.iid_field].numpy()
    return SampledLoss(name, config, np.bincount(items, minlength=dataset.item_num))


class SampledLoss:
    """A loss over sampled negatives, as a function of states, item vectors and targets.

    Negatives come from torch's global generator, whose state is part of every checkpoint. All
    targets of a batch share them.
    """

    def __init__(self, name: str, config: Any, counts: np.ndarray) -> None:
        """name: sampled, gbce or sce; counts: (n_items,), the training interactions of each
        item; item 0 is the pad."""
        self.name = name
        self.size: int = config["num_negatives"]
        self.source: str = config["negatives"]
        self.n_items = len(counts)
        self.log_scale: float = math.log(config["sce_scale"])
        self.beta = gbce_power(self.size, self.n_items, config["gbce_calibration"])
        # An item without interactions counts as one, so that every item can be a negative.
        shares = np.maximum(counts, 1.0)
        shares[0] = 0
        self.shares = torch.from_numpy(shares / shares.sum())  # (n_items,) float64
        self.cumulative = self.shares.cumsum(0)

    def __call__(
        self,
        states: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        bias: torch.Tensor | None = None,
        row_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The mean loss, a scalar; the arguments are those of full_cross_entropy."""
        negatives, log_counts = self.draw(targets)
        if self.name == "gbce":
            return gbce(states, weight, targets, negatives, self.beta, bias, row_weights)
        if self.name == "sce":
            log_counts = torch.full_like(log_counts, self.log_scale)
        return sampled_cross_entropy(
            states, weight, targets, negatives, log_counts, bias, row_weights
        )

    def draw(self, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Negatives (m,) for all of `targets` (N,), and −log(m q) of each, (m,).

        Drawn with replacement, never the pad. With `in_batch` m is at most N: the negatives are
        targets of the batch, and q is their share of the training interactions.
        """
        if self.source == "uniform":
            negatives = torch.randint(1, self.n_items, (self.size,), device=targets.device)
            log_count = math.log((self.n_items - 1) / self.size)
            return negatives, torch.full((self.size,), log_count, device=targets.device)
        if self.source == "in_batch":
            order = torch.randperm(len(targets))[: self.size]
            negatives = targets[order.to(targets.device)]
        else:
            draws = torch.rand(self.size, dtype=torch.float64)
            items = torch.searchsorted(self.cumulative, draws, right=True)
            negatives = items.clamp_(1, self.n_items - 1).to(targets.device)
        q = self.shares.to(targets.device)[negatives]
        return negatives, -(len(negatives) * q).log()
