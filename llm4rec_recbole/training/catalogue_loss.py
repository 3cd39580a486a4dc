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

#: Negatives (m,), and the log of how many items each stands for, (m,).
Drawn = tuple[torch.Tensor, torch.Tensor]

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
        drawn: Drawn | None = None,
    ) -> torch.Tensor:
        """The mean loss, a scalar; the arguments are those of full_cross_entropy.

        drawn: negatives as rows of `weight` with their log counts; None draws them here.
        """
        negatives, log_counts = self.draw(targets) if drawn is None else drawn
        if self.name == "gbce":
            return gbce(states, weight, targets, negatives, self.beta, bias, row_weights)
        if self.name == "sce":
            log_counts = torch.full_like(log_counts, self.log_scale)
        return sampled_cross_entropy(
            states, weight, targets, negatives, log_counts, bias, row_weights
        )

    def draw(self, targets: torch.Tensor) -> Drawn:
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


class BatchItems:
    """The items that one batch reads: those of its histories, its targets and its negatives.

    With a sampled loss, what a model computes for each item is computed for these alone, however
    large the catalogue. Rows count within `ids`, (M,) ascending, of which the first is the pad.
    `ids` is None where the loss reads all items; rows are then the item ids.
    """

    def __init__(
        self, loss: Callable[..., torch.Tensor], items: torch.Tensor, targets: torch.Tensor
    ) -> None:
        """loss: from `catalogue_loss`; items: any shape; targets: (N,), all that the loss gets."""
        self.ids: torch.Tensor | None = None
        self._loss, self._drawn = loss, None
        if isinstance(loss, SampledLoss):
            negatives, log_counts = loss.draw(targets)
            read = torch.cat([items.flatten(), targets, negatives, negatives.new_zeros(1)])
            self.ids = read.unique()
            self._drawn = self.rows(negatives), log_counts

    def rows(self, items: torch.Tensor) -> torch.Tensor:
        """The rows of `items`, in their shape."""
        return items if self.ids is None else torch.searchsorted(self.ids, items)

    def of(self, values: torch.Tensor) -> torch.Tensor:
        """The values (n_items, ...) of the items that the batch reads, (M, ...)."""
        return values if self.ids is None else values[self.ids]

    def loss(self, *args: Any) -> torch.Tensor:
        """The mean loss, a scalar; arguments as of full_cross_entropy, targets as rows."""
        if self._drawn is None:
            return self._loss(*args)
        return self._loss(*args, drawn=self._drawn)
