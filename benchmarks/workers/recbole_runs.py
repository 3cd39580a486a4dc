"""What the workers for stock RecBole and for ours share: RecBole's own way to a trainer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed
from steps import Enough, StepClock


def prepare(model: str, options: dict[str, Any], threads: int) -> tuple[Any, Any, Any, Any]:
    """A trainer for `model` on ml-100k with RecBole's `options`; data of the three phases."""
    config = Config(model=model, dataset="ml-100k", config_dict=options)
    torch.set_num_threads(threads)
    init_seed(config["seed"], config["reproducibility"])
    data = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])
    network = get_model(model)(config, data[0]._dataset).to(config["device"])
    return get_trainer(config["MODEL_TYPE"], model)(config, network), *data


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
