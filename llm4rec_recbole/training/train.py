"""Training: options in, a model at its best checkpoint out."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError, whole_number
from llm4rec_recbole.evaluation.metrics import ACCURACY
from llm4rec_recbole.recbole_plugin.mends.config import OWN_PROTOCOLS

#: Options of every run that are whole numbers, and the least that each may be.
_WHOLE = {
    "seed": 0,
    "threads": 0,
    "epochs": 0,
    "eval_step": 0,
    "stopping_step": 0,
    "train_batch_size": 1,
    "eval_batch_size": 1,
    "eval_users_per_batch": 1,
}


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
    from llm4rec_recbole.recbole_plugin.mends.training import load_weights

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


@contextmanager
def _refusals_of_recbole() -> Iterator[None]:
    """Tell what RecBole refuses by a `raise` of its own, or lacks a package for, in one line."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f"this model needs the package {error.name}") from error
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        its_own = "recbole" in Path(last.filename).parts
        if not its_own or not (last.line or "").startswith("raise "):
            raise
        raise InputError(" ".join(str(error).split())) from error


@_refusals_of_recbole()
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

    from llm4rec_recbole.training.dropout import use_byte_dropout

    config = Config(model, dataset, list(config_files) or None, dict(options or {}))
    _check_numbers(config)
    _check_data(config)
    _check_metric(config)
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    if config["quiet"]:
        logging.getLogger().setLevel(logging.WARNING)
    _set_threads(config)
    data = data_preparation(config, create_dataset(config))
    _check_labels(config, data[0]._dataset)
    init_seed(config["seed"], config["reproducibility"])  # so that loading draws nothing from it
    network = get_model(model)(config, data[0]._dataset).to(config["device"])
    use_byte_dropout(network)
    return Trained(config, data, get_trainer(config["MODEL_TYPE"], model)(config, network))


def _check_data(config: Any) -> None:
    """Refuse a broken file by its line, before RecBole's pandas reads it as something else."""
    from llm4rec_recbole.data.atomic import check_atomic_files

    required = [config["USER_ID_FIELD"], config["ITEM_ID_FIELD"]]
    if config["protocol"] in OWN_PROTOCOLS or config["MODEL_TYPE"].name == "SEQUENTIAL":
        required.append(config["TIME_FIELD"])
    _check_columns(config["load_col"], required)
    check_atomic_files(Path(config["data_path"]), config["dataset"], tuple(required))


def _check_columns(load_col: Any, required: list[str]) -> None:
    """Refuse a choice of columns to read that lacks one of those `required`."""
    if load_col is None:
        return
    hint = f"such as {{inter: [{', '.join(required)}]}}; ~ reads all"
    lists = isinstance(load_col, dict) and all(
        isinstance(columns, list) or columns == "*" for columns in load_col.values()
    )
    if not lists:
        raise InputError(f"load_col is {load_col}, not a list of columns for each file", hint=hint)
    read = load_col.get("inter", [])
    for name in required:
        if read != "*" and name not in read:
            message = f"load_col reads {', '.join(read) or 'nothing'} of the interactions"
            raise InputError(f"{message}, but {name} is needed", hint=hint)


def _check_numbers(config: Any) -> None:
    """Refuse a word where the property files have a number."""
    for name, least in _WHOLE.items():
        whole_number(name, config[name], least)
    for name, value in config.external_config_dict.items():
        default = config.internal_config_dict.get(name)
        if type(default) in (int, float) and isinstance(value, (str, list, dict)):
            raise InputError(f"{name} is {value}, not a number such as {default}")


def _check_metric(config: Any) -> None:
    """Refuse an early stopping by a metric that is not computed, before RecBole misses it."""
    wanted = config["valid_metric"]
    if config["protocol"] != "recbole":
        if wanted.lower() not in ACCURACY:
            raise InputError(f"valid_metric is {wanted}", hint=f"one of {', '.join(ACCURACY)}")
        return
    name, _, k = wanted.partition("@")
    if name.lower() not in map(str.lower, config["metrics"]):
        raise InputError(
            f"valid_metric is {wanted}, but metrics are {config['metrics']}",
            hint=f"add {name} to --metrics, or set --valid_metric to one of them",
        )
    if k and k not in map(str, config["topk"]):
        message = f"valid_metric is {wanted}, but topk is {config['topk']}"
        raise InputError(message, hint=f"add {k} to --topk, or set --valid_metric to one of them")


def _check_labels(config: Any, dataset: Any) -> None:
    """Refuse data without labels for a model that learns from them, such as FM."""
    learns = config["MODEL_TYPE"].name == "CONTEXT"
    drawn = config["train_neg_sample_args"]["distribution"] != "none"
    if learns and not drawn and dataset.label_field not in dataset.inter_feat:
        message = f"{config['model']} learns from labels, and nothing makes them"
        raise InputError(message, hint="let load_col read ratings, and --threshold='{rating: 4}'")


def _set_threads(config: Any) -> None:
    import torch

    if config["threads"]:
        torch.set_num_threads(config["threads"])
