"""Training: options in, a model at its best checkpoint out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llm4rec_recbole.checkpoints import mark_finished
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.training.checks import (
    check_data,
    check_labels,
    check_metric,
    check_options,
    refusals_of_recbole,
)


class Trained:
    """A prepared run, and once it is trained everything that evaluating and recording it needs."""

    def __init__(self, config: Any, data: tuple[Any, Any, Any], trainer: Any) -> None:
        self.config, self.trainer = config, trainer
        self.train_data, self.valid_data, self.test_data = data
        self.model = trainer.model
        self.train_seconds = 0.0
        self.valid_metrics: dict[str, float] = {}
        #: Each validation: {"epoch": counted from 1, "ndcg@10" or other valid_metric: its value}.
        self.history: list[dict[str, float]] = []


def train(
    model: str,
    dataset: str,
    config_files: Sequence[str] = (),
    options: dict[str, Any] | None = None,
    checkpoints: bool = True,
) -> Trained:
    """Train `model` on `dataset` to early stopping and load its best checkpoint.

    Without `checkpoints` nothing is written, and the model is left as the last epoch left it. A
    model that adapts then learns from the validation items: its method `after_training`.
    """
    from llm4rec_recbole.recbole_compat.no_code_execution import load_weights

    trained = prepare(model, dataset, config_files, options)
    config = trained.config
    metric = config["valid_metric"].lower()

    def remember(epoch: int, value: float) -> None:
        trained.history.append({"epoch": epoch + 1, metric: float(value)})

    began = time.perf_counter()
    _, trained.valid_metrics = trained.trainer.fit(
        trained.train_data,
        trained.valid_data,
        verbose=not config["quiet"],
        saved=checkpoints,
        show_progress=config["show_progress"],
        callback_fn=remember,
    )
    trained.train_seconds = time.perf_counter() - began
    if checkpoints:
        load_weights(trained.model, trained.trainer.saved_model_file, config["device"])
    if hasattr(trained.model, "after_training"):
        trained.model.after_training(trained.valid_data.held_out)
    return trained


@refusals_of_recbole()
def prepare(
    model: str,
    dataset: str,
    config_files: Sequence[str] = (),
    options: dict[str, Any] | None = None,
) -> Trained:
    """Read the data and make the model and its trainer: everything before the first step."""
    import logging

    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_logger, init_seed

    from llm4rec_recbole.training.trainer import use_byte_dropout

    config = Config(model, dataset, list(config_files) or None, dict(options or {}))
    check_options(config)
    check_data(config)
    check_metric(config)
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    if config["quiet"]:
        logging.getLogger().setLevel(logging.WARNING)
    _set_threads(config)
    data = data_preparation(config, create_dataset(config))
    check_labels(config, data[0]._dataset)
    init_seed(config["seed"], config["reproducibility"])  # so that loading draws nothing from it
    network = get_model(model)(config, data[0]._dataset).to(config["device"])
    use_byte_dropout(network)
    return Trained(config, data, get_trainer(config["MODEL_TYPE"], model)(config, network))


def _set_threads(config: Any) -> None:
    import torch

    if config["num_threads"]:
        torch.set_num_threads(config["num_threads"])


# One run: options in; a trained model, a run record and a users file out.


def run(
    model: str,
    dataset: str,
    config_files: Sequence[str] = (),
    options: dict[str, Any] | None = None,
) -> Path:
    """Train `model` on `dataset`, evaluate it once on the test items, and write the run record.

    Options are RecBole's and this project's (properties/overall.yaml); they win over
    `config_files`, which win over the property files. Returns the record's path,
    <results_dir>/runs/<dataset>/<protocol>/<method>/seed_<k>.json. Raises InputError for bad
    input; an earlier record stays until the new one is whole.
    """
    started = time.time()
    from llm4rec_recbole.evaluation import record

    try:
        trained = train(model, dataset, config_files, options)
        path = record.write(trained, started)
        if Path(trained.trainer.saved_model_file).is_file():  # decision trees have no checkpoint
            mark_finished(trained.trainer.saved_model_file)
        return path
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "what earlier runs wrote is untouched"
        raise InputError(f"cannot write: {reason}", file=error.filename, hint=hint) from error
