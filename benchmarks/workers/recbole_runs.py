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
    trainer: Any,
    train_data: Any,
    rows_per_epoch: int,
    targets_of: Callable[[Any], int],
    seconds: float | None,
) -> dict[str, Any]:
    """Train without validation or checkpoints for `seconds` (None: the epochs configured)."""
    clock = StepClock(seconds)
    calculate_loss = trainer.model.calculate_loss

    def counted_loss(interaction: Any) -> torch.Tensor:
        clock.count(len(interaction), targets_of(interaction))
        return calculate_loss(interaction)

    trainer.model.calculate_loss = counted_loss
    with contextlib.suppress(Enough):
        trainer.fit(train_data, saved=False)
    return clock.result(rows_per_epoch)
