"""The main path: options in; a trained model, a run record and a users file out.

`run` is the path on one page. The command `run_recbole` and RecBole's own
`recbole.quick_start.run_recbole(...)` both take it (recbole_plugin/quick_start.py).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from llm4rec_recbole import checkpoints
from llm4rec_recbole.console import no_garbage_collection
from llm4rec_recbole.errors import InputError, disk_errors, shorten
from llm4rec_recbole.evaluation import record_writer
from llm4rec_recbole.evaluation.energy import EnergyMeter, detect_hardware
from llm4rec_recbole.evaluation.held_out_loader import HeldOutLoader
from llm4rec_recbole.evaluation.ranking import Rankings
from llm4rec_recbole.evaluation.record_writer import TrainedRun
from llm4rec_recbole.recbole_compat import model_state
from llm4rec_recbole.registry import resolve_model
from llm4rec_recbole.training.checkpoint_files import (
    resume_training,
    save_adapted_weights,
    saved_when_stopped,
    terminated_by_sigterm,
)
from llm4rec_recbole.training.checks import (
    check_folders,
    check_processes,
    checked_config,
    refusals_of_recbole,
    refusals_of_torch,
)
from llm4rec_recbole.training.data_checks import (
    check_batches,
    check_label_values,
    check_sizes,
)

#: Reports a full disk, or a folder that cannot be written, in one line.
writing = partial(disk_errors, "cannot write", hint="what earlier runs wrote is untouched")


@writing()
@terminated_by_sigterm()
def run(
    model: Any,
    dataset: str | None = None,
    config_files: Sequence[str] = (),
    options: dict[str, Any] | None = None,
) -> Path:
    """Train `model` on `dataset`, rank its test items once, and write the run record.

    Options win over `config_files`, which win over the property files. Returns the record's path,
    <results_dir>/runs/<dataset>/<protocol>/<method>/seed_<k>.json. Raises InputError for bad input.
    An earlier record stays until the new record is complete.
    """
    config = load_config(model, dataset, config_files, options)
    data = load_dataset(config)
    network = build_model(config, data.train)
    trained = fit(build_trainer(network, config), data)
    ranks = rank_held_out(trained, data)
    return write_record(trained, ranks, data.test)


@dataclass(frozen=True, eq=False)
class Data:
    """RecBole's data set, and a loader for each phase."""

    dataset: Any
    train: Any
    valid: Any
    test: Any


@refusals_of_recbole()
@no_garbage_collection()
def load_config(
    model: Any = None,
    dataset: str | None = None,
    config_files: Sequence[str] = (),
    options: dict[str, Any] | None = None,
) -> Any:
    """RecBole's Config with this project's property files, checked before data are read.

    `model` is a name, a class, or `package.module:Class` (registry.py). `model` and `dataset` may
    also stand in the files or the options. Seeds every generator, opens the log, sets the number of
    threads and starts to look for energy sensors. Raises InputError.
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
    detect_hardware(config["energy_country"])
    wanted = config["use_gpu"] and config.external_config_dict.get("gpu_id", "")
    if str(wanted) not in ("", "-1", "False") and config["device"].type == "cpu":
        from llm4rec_recbole.training.dataset import note

        note(config, f"there is no GPU {wanted}: this run is on the CPU")
    return config


@refusals_of_recbole()
def load_dataset(config: Any) -> Data:
    """Read the data set and split it: a loader for each phase. The generators are seeded again, so
    that reading the data draws nothing from the training's."""
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import init_seed

    from llm4rec_recbole.training.dataset import note_items

    dataset = create_dataset(config)
    note_items(config, dataset)
    train, valid, test = data_preparation(config, dataset)
    check_sizes(config, train._dataset)
    check_label_values(config, train._dataset, (valid._dataset, test._dataset))
    init_seed(config["seed"] + (config["local_rank"] or 0), config["reproducibility"])
    return Data(dataset, train, valid, test)


@refusals_of_recbole()
def build_model(config: Any, train: Any) -> Any:
    """The model that `config` names, on its device, for the training loader `train`."""
    from llm4rec_recbole.training.dataset import interactions_of, note
    from llm4rec_recbole.training.trainer import count_steps, initialise_items, use_byte_dropout

    network = config.model_class(config, train._dataset)
    count_steps(network, config)
    if config["item_init"] not in (None, "random"):
        initialise_items(network, config, interactions_of(train._dataset))
    network = network.to(config["device"])
    for component, lacking in getattr(network, "idle_components", {}).items():
        note(config, f"component {component} is off: the data have {lacking}")
    use_byte_dropout(network)
    return network


@refusals_of_recbole()
def build_trainer(network: Any, config: Any) -> TrainedRun:
    """The model with RecBole's trainer of its kind, before the first epoch."""
    from recbole.utils import get_trainer

    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, network)
    return TrainedRun(config, network, trainer, energy=EnergyMeter(config["energy_country"]))


@refusals_of_recbole()
def fit(
    trained: TrainedRun,
    data: Data,
    save: bool = True,
    watch: Callable[[int, float], None] | None = None,
) -> TrainedRun:
    """Train to early stopping and load the best checkpoint.

    Without `save` nothing is written, and the model stays as the last epoch left it. watch: called
    after each validation with the epoch, counted from 1, and the metric's value.
    """
    from llm4rec_recbole.training.trainer import before_first_epoch

    config, model, trainer = trained.config, trained.model, trained.trainer
    metric = config["valid_metric"].lower()
    if save:
        check_folders(config)
    if config["resume"]:
        resume_training(trained)

    check_batches(model, data.train)

    def remember(epoch: int, value: float) -> None:
        if math.isnan(value):
            message = f"{config['valid_metric']} has no value after epoch {epoch + 1}"
            raise InputError(message, hint="choose another --valid_metric")
        trained.history.append({"epoch": epoch + 1, metric: float(value)})
        if watch is not None:
            watch(epoch + 1, float(value))

    with trained.energy.measure("training"):
        began = time.perf_counter()
        before_first_epoch(model, data.train, data.valid)
        stopping = saved_when_stopped(trainer) if save else nullcontext()
        with stopping, refusals_of_torch(config):
            _, best = trainer.fit(
                data.train,
                data.valid,
                verbose=not config["quiet"],
                saved=save,
                show_progress=config["show_progress"],
                callback_fn=remember,
            )
        trained.valid_metrics = best or {}
        trained.train_seconds += time.perf_counter() - began
    trained.padding_share = getattr(data.train, "padding_share", None)
    if save and hasattr(trainer, "pack_state"):  # decision trees are in files of their own
        if not config["single_spec"]:  # the first of several processes writes the file
            import torch

            torch.distributed.barrier()
        model_state.load_weights(model, trainer.saved_model_file, config["device"])
    return trained


@refusals_of_recbole()
def rank_held_out(trained: TrainedRun, data: Data) -> Rankings | Mapping[str, float]:
    """The rankings of the test users; RecBole's own metrics under RecBole's own protocol.

    A model that adapts learns in between: each test user is ranked by a model that has learned only
    from validation items that were chosen before. Afterwards it has learned from all of them.
    """
    from llm4rec_recbole.training.dataset import note

    model, test = trained.model, data.test
    idle = set(getattr(model, "idle_components", {}))
    with trained.energy.measure("evaluation"):
        if not isinstance(test, HeldOutLoader):
            return trained.trainer.evaluate(test, load_best_model=False)
        ranks = test.rank(model, data.valid, progress=test.config["show_progress"])
        for component, why in getattr(model, "idle_components", {}).items():
            if component not in idle:
                note(test.config, f"component {component} is off: {why}")
        return ranks


def write_record(trained: TrainedRun, ranks: Rankings | Mapping[str, float], test: Any) -> Path:
    """Write the run record and the users file; return the record's path."""
    path = record_writer.write_record(trained, ranks, test.dataset)
    checkpoint = trained.trainer.saved_model_file
    if Path(checkpoint).is_file():  # a model of decision trees has none
        if isinstance(test, HeldOutLoader):
            save_adapted_weights(trained.model, checkpoint, test.held_out)
        checkpoints.mark_finished(checkpoint)
        Path(f"{checkpoint}{checkpoints.STOPPED}").unlink(missing_ok=True)
    return path


# The same steps for callers that need the parts: tests, benchmarks, the search for options.


@dataclass(frozen=True, eq=False)
class Experiment:
    """The data and the model of one run, before or after its training."""

    data: Data
    trained: TrainedRun

    @property
    def config(self) -> Any:
        return self.trained.config

    @property
    def model(self) -> Any:
        return self.trained.model

    @property
    def trainer(self) -> Any:
        return self.trained.trainer


def prepare(
    model: Any = None,
    dataset: str | None = None,
    config_files: Sequence[str] = (),
    options: dict[str, Any] | None = None,
) -> Experiment:
    """Everything before the first epoch: data, model and trainer."""
    config = load_config(model, dataset, config_files, options)
    data = load_dataset(config)
    return Experiment(data, build_trainer(build_model(config, data.train), config))


def train(
    model: Any = None,
    dataset: str | None = None,
    config_files: Sequence[str] = (),
    options: dict[str, Any] | None = None,
    save: bool = True,
) -> Experiment:
    """Everything before the test: a model at its best checkpoint. `save` as in `fit`."""
    experiment = prepare(model, dataset, config_files, options)
    fit(experiment.trained, experiment.data, save)
    return experiment


def load_trained(
    path: str | Path, check: Callable[[Any], None] = lambda dataset: None
) -> Experiment:
    """The run whose checkpoint is at `path`: its data, read again, and its model with the weights.
    check: called with RecBole's data set before the model is built. Raises InputError for a file
    that is no checkpoint, or that does not fit today's data."""
    if not isinstance(path, str | Path):
        raise InputError(f"{shorten(path)} is not the name of a checkpoint file")
    state = checkpoints.load(path)
    described = state["config"]
    options = described["options"] | {"quiet": True, "energy_country": None}
    config = load_config(described["model"], described["dataset"], (), options)
    data = load_dataset(config)
    check(data.dataset)
    network = build_model(config, data.train)
    model_state.set_weights(network, state, path)
    return Experiment(data, TrainedRun(config, network, None))
