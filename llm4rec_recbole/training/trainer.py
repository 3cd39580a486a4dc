"""What a run does to a model before and during its training.

The trainer's learning rate rises linearly, then falls to 0 by the last epoch (cosine). The number
of epochs and the first item vectors may depend on the data. Dropout draws faster on CPUs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from recbole.trainer import Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.held_out_loader import HeldOutLoader
from llm4rec_recbole.evaluation.record_writer import TrainedRun
from llm4rec_recbole.recbole_compat import model_state
from llm4rec_recbole.registry import ITEM_VECTORS, load
from llm4rec_recbole.training.checkpoint_files import saved_when_stopped
from llm4rec_recbole.training.checks import refusals_of_torch
from llm4rec_recbole.training.dataset import interactions_of


class ScheduledTrainer(Trainer):
    """RecBole's trainer, with a linear warm-up over `warmup` of all steps and a cosine after it.

    A model with the class attribute `schedule = "warmup_cosine"` is trained so, unless the option
    `warmup` is ~: the rate is then constant. The steps are counted in the model's buffer `steps`
    (`count_steps`), so a resumed run continues the schedule.
    """

    def _build_optimizer(self, **kwargs: Any) -> Optimizer:
        optimizer = super()._build_optimizer(**kwargs)
        self.total_steps = 0
        if self.config["warmup"] is not None:
            if not hasattr(self.model, "steps"):  # a script made the model
                count_steps(self.model, self.config)
            optimizer.register_step_pre_hook(self._set_rate)
        return optimizer

    def fit(self, train_data: Any, valid_data: Any = None, *args: Any, **kwargs: Any) -> Any:
        prepare_for_script(self, train_data, valid_data)
        self.total_steps = self.epochs * len(train_data)
        return super().fit(train_data, valid_data, *args, **kwargs)

    def _set_rate(self, optimizer: Optimizer, *unused: Any) -> None:
        self.model.steps += 1
        if self.total_steps:
            share = schedule(int(self.model.steps), self.total_steps, self.config["warmup"])
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate * share


def count_steps(model: Any, config: Any) -> None:
    """Give `model` the buffer `steps`, where ScheduledTrainer counts the optimizer's steps."""
    if getattr(model, "schedule", None) == "warmup_cosine" and config["warmup"] is not None:
        model.register_buffer("steps", torch.zeros((), dtype=torch.int64))


def schedule(step: int, total: int, warmup: float) -> float:
    """The share of the learning rate at `step` of `total`, both counted from 1: 0 to 1."""
    done = min(1.0, step / total)
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


VALIDATIONS = 6  # of a training, where `eval_step` is ~


def set_epochs(config: Any, model: Any, train: Any) -> None:
    """Set the options `epochs` and `eval_step` of `config` where they are ~.

    The class method `training_length` of a model gives how many times an item is a target on
    average, and the least and the most epochs. model: the class or the model. train: RecBole's
    training data.
    """
    if config["epochs"] is None:
        targets = len(train) - train.user_num + 1  # a user's first item is no target
        visits, least, most = model.training_length(config)
        epochs = round(visits * (train.item_num - 1) / max(1, targets))
        config["epochs"] = min(most, max(least, epochs))
    if config["eval_step"] is None:
        config["eval_step"] = max(1, round(config["epochs"] / VALIDATIONS))


def initialise_items(network: Any, config: Any, train: Any) -> None:
    """Overwrite the rows of each `item_embedding` for which the option `item_init` has a vector.

    train: RecBole's training data. The functions are looked up by name, so that a run without them
    does not depend on text encoders.
    """
    if config["item_init"] in (None, "random"):
        return
    vectors_of = load(ITEM_VECTORS, config["item_init"])
    tables: list[nn.Embedding] = [  # (n_items or more, d) each
        part.item_embedding for part in network.modules() if hasattr(part, "item_embedding")
    ]
    vectors = vectors_of(config, interactions_of(train), tables[0].embedding_dim)
    rows = torch.from_numpy(vectors.any(1).nonzero()[0])  # vectors: (n_items, d)
    with torch.no_grad():
        for table in tables:
            table.weight[rows] = config["item_init_std"] * torch.from_numpy(vectors)[rows]


def before_first_epoch(model: Any, train_data: Any, valid_data: Any) -> None:
    """Give the training loader the model's token counts, and let the model see the validation.

    A model chooses such as the weights of a sum there.
    """
    model.is_prepared = True
    if hasattr(train_data, "item_tokens"):
        train_data.item_tokens = getattr(model, "item_tokens", None)
    if isinstance(valid_data, HeldOutLoader) and hasattr(model, "before_training"):
        model.before_training(valid_data.held_out)


def prepare_for_script(trainer: Any, train_data: Any, valid_data: Any) -> None:
    """Do what the main path does before the first epoch, where a script calls `trainer.fit`."""
    model, config = trainer.model, trainer.config
    if getattr(model, "is_prepared", False):
        return
    if "resumed" not in vars(trainer):
        initialise_items(model, config, train_data._dataset)
    before_first_epoch(model, train_data, valid_data)


def run_epochs(
    trained: TrainedRun,
    train_data: Any,
    valid_data: Any,
    save: bool,
    watch: Callable[[int, float], None] | None,
) -> None:
    """Run the trainer's epochs; add time, energy, validations and padding to `trained`.

    `save` and `watch` as in run.fit. Raises InputError where the validation metric has no value.
    """
    config, trainer = trained.config, trained.trainer

    def remember(epoch: int, value: float) -> None:
        if math.isnan(value):
            message = f"{config['valid_metric']} has no value after epoch {epoch + 1}"
            raise InputError(message, hint="choose another --valid_metric")
        trained.history.append({"epoch": epoch + 1, config["valid_metric"].lower(): float(value)})
        if watch is not None:
            watch(epoch + 1, float(value))

    with trained.energy.measure("training"):
        began = time.perf_counter()
        before_first_epoch(trained.model, train_data, valid_data)
        stopping = saved_when_stopped(trainer) if save else nullcontext()
        with stopping, refusals_of_torch(config):
            _, best = trainer.fit(
                train_data,
                valid_data,
                verbose=not config["quiet"],
                saved=save,
                show_progress=config["show_progress"],
                callback_fn=remember,
            )
        trained.valid_metrics = best or {}
        trained.train_seconds += time.perf_counter() - began
    trained.padding_share = getattr(train_data, "padding_share", None)


def load_best(trained: TrainedRun) -> None:
    """Load the weights of the best validation. Decision trees are in files of their own."""
    config, trainer = trained.config, trained.trainer
    if hasattr(trainer, "pack_state"):
        if not config["single_spec"]:  # the first of several processes writes the file
            torch.distributed.barrier()
        model_state.load_weights(trained.model, trainer.saved_model_file, config["device"])


#: The trainer of each value of a model's class attribute `schedule`.
TRAINERS: dict[str, type[Trainer]] = {"warmup_cosine": ScheduledTrainer}

# Dropout from random bytes: on a CPU, PyTorch draws one float a number, four times slower.


class ByteDropout(nn.Dropout):
    """Zeroes a share of p, rounded to a multiple of 1/256, and scales the rest to keep the mean.
    Draws from torch's global generator, so a seed and a checkpoint cover it."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.p == 0 or input.device.type != "cpu":
            return super().forward(input)
        threshold = round(self.p * 256)
        size = input.numel()
        draws = torch.empty(-(-size // 8), dtype=torch.int64).random_(-(2**63), None)
        mask = draws.view(torch.uint8)[:size].view(input.shape) >= threshold
        return input * (mask * (256 / (256 - threshold))).to(input.dtype)


def use_byte_dropout(model: Any) -> None:
    """Give every plain nn.Dropout inside `model` the faster forward pass."""
    for module in model.modules() if isinstance(model, nn.Module) else ():  # no decision trees
        if type(module) is nn.Dropout:
            module.__class__ = ByteDropout
