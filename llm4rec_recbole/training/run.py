"""The main path: options in; a trained model, a run record and a users file out.

`run` is the path on one page. The command `run_recbole` and RecBole's own
`recbole.quick_start.run_recbole(...)` both take it (recbole_plugin/quick_start.py).
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole import checkpoints
from llm4rec_recbole.data.dataset_files import DatasetFiles
from llm4rec_recbole.data.features import unread_item_columns
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation import record
from llm4rec_recbole.evaluation.energy import EnergyMeter, detect_hardware
from llm4rec_recbole.evaluation.held_out_loader import HeldOutLoader
from llm4rec_recbole.evaluation.ranking import Rankings
from llm4rec_recbole.registry import ITEM_VECTORS, load, resolve_model
from llm4rec_recbole.training.checkpoint_files import (
    forget_stopped_state,
    last_checkpoint,
    save_adapted_weights,
    saved_when_stopped,
    terminated_by_sigterm,
)
from llm4rec_recbole.training.checks import (
    check_folders,
    check_processes,
    checked_config,
    refusals_of_recbole,
)
from llm4rec_recbole.training.row_checks import check_labels


@contextmanager
def disk_errors() -> Iterator[None]:
    """Report a full disk or a folder that cannot be written in one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "what earlier runs wrote is untouched"
        raise InputError(f"cannot write: {reason}", file=error.filename, hint=hint) from error


@disk_errors()
@terminated_by_sigterm()
def run(
    model: Any,
    dataset: str | None = None,
    config_files: Sequence[str] = (),
    options: dict[str, Any] | None = None,
) -> Path:
    """Train `model` on `dataset`, rank its test items once, and write the run record.

    Options are RecBole's and this project's (properties/overall.yaml). They win over
    `config_files`, which win over the property files. Returns the record's path,
    <results_dir>/runs/<dataset>/<protocol>/<method>/seed_<k>.json. Raises InputError for bad
    input. An earlier record stays until the new record is complete.
    """
    config = load_config(model, dataset, config_files, options)
    detect_hardware(config["energy_country"])
    data = load_dataset(config)
    network = build_model(config, data.train)
    fitted = fit(network, data.train, data.valid, config)
    ranks = rank_held_out(fitted, data)
    return write_record(config, fitted, ranks, data.test)


@dataclass(frozen=True, eq=False)
class Data:
    """RecBole's data set, and a loader for each phase."""

    dataset: Any
    train: Any
    valid: Any
    test: Any


@dataclass(eq=False)
class Fitted:
    """A model with its trainer, and once it is trained what the training gave."""

    model: Any
    trainer: Any
    started: float = field(default_factory=time.time)
    train_seconds: float = 0.0
    energy: EnergyMeter = field(default_factory=EnergyMeter)
    #: The share of the input positions that held no item; None where batches are not windows.
    padding_share: float | None = None
    valid_metrics: Mapping[str, float] = field(default_factory=dict)
    #: Each validation: {"epoch": counted from 1, "ndcg@10" or another valid_metric: its value}.
    history: list[dict[str, float]] = field(default_factory=list)


@refusals_of_recbole()
def load_config(
    model: Any = None,
    dataset: str | None = None,
    config_files: Sequence[str] = (),
    options: dict[str, Any] | None = None,
) -> Any:
    """RecBole's Config with this project's property files, checked before data are read.

    `model` is a name, a class, or `package.module:Class` (registry.py). `model` and `dataset` may
    also stand in the files or the options. Seeds every generator, opens
    the log and sets the number of threads. Raises InputError for bad options or data.
    """
    from recbole.utils import init_logger, init_seed

    model = resolve_model(model)
    config = checked_config(model, dataset, config_files, options)
    check_processes(config)
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    if config["quiet"]:
        logging.getLogger().setLevel(logging.WARNING)
    if config["num_threads"]:
        import torch

        torch.set_num_threads(config["num_threads"])
    return config


@refusals_of_recbole()
def load_dataset(config: Any) -> Data:
    """Read the data set and split it: a loader for each phase.

    The generators are seeded again, so that reading the data draws nothing from the training's.
    """
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import init_seed

    dataset = create_dataset(config)
    _note_items(config, dataset)
    train, valid, test = data_preparation(config, dataset)
    check_labels(config, train._dataset)
    init_seed(config["seed"] + (config["local_rank"] or 0), config["reproducibility"])
    return Data(dataset, train, valid, test)


def _note(config: Any, text: str) -> None:
    if not config["quiet"]:
        print(f"note: {text}", file=sys.stderr)


def _note_items(config: Any, dataset: Any) -> None:
    """Print what the items' file has that the run does not use, or that no interaction has."""
    inter, item = dataset.inter_feat, dataset.iid_field
    interacted = len(np.unique(np.asarray(inter[item])))
    if alone := dataset.item_num - 1 - interacted:
        message = f"{alone} of {dataset.item_num - 1} items have no interaction"
        hint = "--item_candidates=interacted leaves them out"
        _note(config, f"{message}; they are candidates all the same ({hint})")
    if dataset.items_left_out:
        message = f"{dataset.items_left_out} items of the .item file have no interaction"
        _note(config, f"{message} and are no candidates (--item_candidates=all keeps them)")
    if hasattr(config.model_class, "default_components"):  # it reads texts and categories
        files = DatasetFiles.of(config)
        names = unread_item_columns(files.path("item"), files.file_format)
        if names:
            message = f"{files.path('item')}: no model reads its columns {', '.join(names)}"
            hint = "texts are read from title and description, words for kinds from categories"
            _note(config, f"{message} ({hint}; rename columns in the first line)")


@refusals_of_recbole()
def build_model(config: Any, train: Any) -> Any:
    """The model that `config` names, on its device, for the training loader `train`."""
    from torch import nn

    from llm4rec_recbole.training.dataset import interactions_of
    from llm4rec_recbole.training.trainer import set_epochs, use_byte_dropout

    network = config.model_class(config, train._dataset)
    if config["item_init"] not in (None, "random"):
        initialise_items(network, config, train._dataset)
    if config["epochs"] is None or config["eval_step"] is None:
        set_epochs(config, network, interactions_of(train._dataset))
    network = network.to(config["device"])
    for component, lacking in getattr(network, "idle_components", {}).items():
        _note(config, f"component {component} is off: the data have {lacking}")
    if isinstance(network, nn.Module):  # a model of decision trees is not
        use_byte_dropout(network)
    return network


def initialise_items(network: Any, config: Any, train: Any) -> None:
    """Overwrite the rows of `item_embedding` for which the option `item_init` has a vector.

    train: RecBole's training data. The functions are looked up by name, so that a run without
    them does not depend on text encoders. Raises InputError where an option or a file is missing.
    """
    import torch

    from llm4rec_recbole.training.dataset import interactions_of

    table: torch.nn.Embedding = network.item_embedding  # (n_items or more, d)
    compute = load(ITEM_VECTORS, config["item_init"])
    vectors = compute(config, interactions_of(train), table.embedding_dim)  # (n_items, d)
    rows = torch.from_numpy(vectors.any(1).nonzero()[0])
    with torch.no_grad():
        table.weight[rows] = config["item_init_std"] * torch.from_numpy(vectors)[rows]


@refusals_of_recbole()
def build_trainer(network: Any, config: Any) -> Fitted:
    """The model with RecBole's trainer of its kind, before the first epoch."""
    from recbole.utils import get_trainer

    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, network)
    return Fitted(network, trainer, energy=EnergyMeter(config["energy_country"]))


def fit(network: Any, train: Any, valid: Any, config: Any, save: bool = True) -> Fitted:
    """Train `network` to early stopping and load its best checkpoint.

    Without `save` nothing is written, and the model stays as the last epoch left it.
    """
    return fit_trainer(build_trainer(network, config), train, valid, config, save)


def fit_trainer(
    fitted: Fitted,
    train: Any,
    valid: Any,
    config: Any,
    save: bool = True,
    watch: Callable[[int, float], None] | None = None,
) -> Fitted:
    """`fit` for a trainer that exists already.

    watch: called after each validation with the epoch, counted from 1, and the metric's value. What
    it raises ends the training.
    """
    metric = config["valid_metric"].lower()
    if save:
        check_folders(config)
    if config["resume"]:
        _resume(fitted, config, metric)
    if hasattr(train, "item_tokens"):
        train.item_tokens = getattr(fitted.model, "item_tokens", None)
    stoppable = saved_when_stopped(fitted.trainer) if save else nullcontext()

    def remember(epoch: int, value: float) -> None:
        fitted.history.append({"epoch": epoch + 1, metric: float(value)})
        if watch is not None:
            watch(epoch + 1, float(value))

    with fitted.energy.measure("training"):
        began = time.perf_counter()
        if isinstance(valid, HeldOutLoader) and hasattr(fitted.model, "before_training"):
            fitted.model.before_training(valid.held_out)
        with stoppable:
            _, best = fitted.trainer.fit(
                train,
                valid,
                verbose=not config["quiet"],
                saved=save,
                show_progress=config["show_progress"],
                callback_fn=remember,
            )
        fitted.valid_metrics = best or {}
        fitted.train_seconds += time.perf_counter() - began
    fitted.padding_share = getattr(train, "padding_share", None)
    if save and hasattr(fitted.trainer, "pack_state"):  # decision trees are in files of their own
        checkpoints.load_weights(fitted.model, fitted.trainer.saved_model_file, config["device"])
    return fitted


def _resume(fitted: Fitted, config: Any, metric: str) -> None:
    """Load the last checkpoint of the same run, with what the run's record says of its epochs."""
    trainer = fitted.trainer
    if not hasattr(trainer, "pack_state"):
        raise InputError(f"{config['model']} has no epochs to resume", hint="leave --resume out")
    path = last_checkpoint(config)
    trainer.resume_checkpoint(path)
    fitted.history += [{"epoch": epoch + 1, metric: score} for epoch, score in trainer.validations]
    fitted.train_seconds = trainer.seconds_before
    fitted.energy.missing = "the run was resumed: the first part was not measured"
    if not config["quiet"]:
        print(f"resumed {path} after epoch {trainer.start_epoch}", file=sys.stderr)


def rank_held_out(fitted: Fitted, data: Data) -> Rankings | Mapping[str, float]:
    """The rankings of the test users; RecBole's own metrics under RecBole's own protocol.

    A model that adapts learns in between: each test user is ranked by a model that has learned only
    from validation items that were chosen before. Afterwards it has learned from all of them.
    """
    test, idle = data.test, set(getattr(fitted.model, "idle_components", {}))
    with fitted.energy.measure("evaluation"):
        if isinstance(test, HeldOutLoader):
            ranks = test.rank(fitted.model, data.valid, progress=test.config["show_progress"])
            for component, why in getattr(fitted.model, "idle_components", {}).items():
                if component not in idle:
                    _note(test.config, f"component {component} is off: {why}")
            return ranks
        return fitted.trainer.evaluate(test, load_best_model=False)


def write_record(
    config: Any, fitted: Fitted, ranks: Rankings | Mapping[str, float], test: Any
) -> Path:
    """Write the run record and the users file; return the record's path."""
    finished = record.TrainedRun(
        config=config,
        model=fitted.model,
        train_seconds=fitted.train_seconds,
        energy=fitted.energy.record(),
        padding_share=fitted.padding_share,
        epochs=len(getattr(fitted.trainer, "train_loss_dict", ())) or fitted.trainer.epochs,
        valid_metrics=fitted.valid_metrics,
        history=fitted.history,
        started=fitted.started,
    )
    path = record.write(finished, ranks, test.dataset)
    checkpoint = fitted.trainer.saved_model_file
    if Path(checkpoint).is_file():  # a model of decision trees has none
        save_adapted_weights(fitted.model, checkpoint)
        checkpoints.mark_finished(checkpoint)
        forget_stopped_state(checkpoint)
    return path


# The same steps for callers that need the parts: tests, benchmarks, the search for options.


@dataclass(frozen=True, eq=False)
class Experiment:
    """All parts of one run, before or after its training."""

    config: Any
    data: Data
    fitted: Fitted

    @property
    def model(self) -> Any:
        return self.fitted.model

    @property
    def trainer(self) -> Any:
        return self.fitted.trainer


def prepare(
    model: Any = None,
    dataset: str | None = None,
    config_files: Sequence[str] = (),
    options: dict[str, Any] | None = None,
) -> Experiment:
    """Everything before the first epoch: data, model and trainer."""
    config = load_config(model, dataset, config_files, options)
    detect_hardware(config["energy_country"])
    data = load_dataset(config)
    return Experiment(config, data, build_trainer(build_model(config, data.train), config))


def train(
    model: Any = None,
    dataset: str | None = None,
    config_files: Sequence[str] = (),
    options: dict[str, Any] | None = None,
    save: bool = True,
) -> Experiment:
    """Everything before the test: a model at its best checkpoint. `save` as in `fit`."""
    experiment = prepare(model, dataset, config_files, options)
    data = experiment.data
    fit_trainer(experiment.fitted, data.train, data.valid, experiment.config, save)
    return experiment


def load_trained(
    path: str | Path, check: Callable[[Any], None] = lambda dataset: None
) -> Experiment:
    """The run whose checkpoint is at `path`: its data, read again, and its model with the weights.

    check: called with RecBole's data set before the model is built, which takes longer. Raises
    InputError for a file that is no checkpoint, or that does not fit today's data.
    """
    state = checkpoints.load(path)
    described = state["config"]
    options = described["options"] | {"quiet": True}
    config = load_config(described["model"], described["dataset"], (), options)
    data = load_dataset(config)
    check(data.dataset)
    network = build_model(config, data.train)
    checkpoints.set_weights(network, state, path)
    return Experiment(config, data, Fitted(network, None))
