"""What the workers for stock RecBole and for ours share: RecBole's trainer, timed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from steps import Enough, StepClock


def masked_targets(interaction: Any) -> int:
    """Targets of a batch for BERT4Rec: RecBole masks its loss with `masked_index > 0`."""
    return int((interaction["MASK_INDEX"] > 0).sum())


def timed_training(
    trainer: Any, train_data: Any, targets_of: Callable[[Any], int], seconds: float | None
) -> dict[str, Any]:
    """Train without validation or checkpoints for `seconds` (None: the epochs configured)."""
    counts = [(len(batch), targets_of(batch)) for batch in train_data]  # of one epoch
    rows, targets = (sum(numbers) for numbers in zip(*counts))
    clock = StepClock(seconds)
    calculate_loss = trainer.model.calculate_loss

    def counted_loss(interaction: Any) -> torch.Tensor:
        clock.count(len(interaction))
        return calculate_loss(interaction)

    trainer.model.calculate_loss = counted_loss
    with contextlib.suppress(Enough):
        trainer.fit(train_data, saved=False)
    return clock.result(rows, targets)
