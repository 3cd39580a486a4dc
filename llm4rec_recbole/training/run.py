"""The main path: options in; a trained model, a run record and a users file out.

`run` is the whole path, and its steps are the functions below it, in this order:

    options ─► load_config ─► load_dataset ─► train, valid, test
    train ─► build_model ─► build_trainer ─► fit, until valid stops it ─► the best checkpoint
    test ─► rank_held_out, online adaptation in between ─► write_record

The command `run_recbole` and RecBole's own `recbole.quick_start.run_recbole(...)` take this path
(recbole_plugin/quick_start.py). Tests, searches and restored runs need a part of it: experiment.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from llm4rec_recbole import checkpoints
from llm4rec_recbole.console import no_garbage_collection
from llm4rec_recbole.errors import disk_errors
from llm4rec_recbole.evaluation import record_writer
from llm4rec_recbole.evaluation.energy import EnergyMeter
from llm4rec_recbole.evaluation.held_out_loader import HeldOutLoader
from llm4rec_recbole.evaluation.ranking import Rankings
from llm4rec_recbole.evaluation.record_writer import TrainedRun
from llm4rec_recbole.registry import resolve_model
from llm4rec_recbole.training.checkpoint_files import resume_training, save_adapted_weights
from llm4rec_recbole.training.checks import (
    check_folders,
    check_processes,
    checked_config,
    refusals_of_recbole,
)
from llm4rec_recbole.training.data_checks import check_batches, check_label_values, check_sizes
from llm4rec_recbole.training.process import note, seed_generators, set_up, terminated_by_sigterm

#: Decorates what writes files: a full disk becomes an error in one line, not a traceback.
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
    trained = fit(build_trainer(config, network), data)
    ranks = rank_held_out(trained, data)
    return write_record(trained, ranks, data)


@dataclass(frozen=True, eq=False)
class Data:
    """RecBole's data set, and a loader of its rows for each phase."""

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
    """Merge all options into RecBole's Config and check them, before data are read.

    `model` is a name, a class, or `package.module:Class` (registry.py). `model` and `dataset` may
    also stand in the files or the options. Then set up the process: seeds, log, threads, energy
    sensors. Raises InputError.
    """
    config = checked_config(resolve_model(model), dataset, config_files, options)
    check_processes(config)
    set_up(config)
    return config


@refusals_of_recbole()
def load_dataset(config: Any) -> Data:
    """Read the data set, split it, and make a loader for each phase. Then seed the generators
    again: the training draws the same numbers, however the data were read."""
    from recbole.data import create_dataset, data_preparation

    from llm4rec_recbole.training.dataset import note_items

    dataset = create_dataset(config)
    note_items(config, dataset)
    train, valid, test = data_preparation(config, dataset)
    check_sizes(config, train._dataset)
    check_label_values(config, train._dataset, (valid._dataset, test._dataset))
    seed_generators(config)
    return Data(dataset, train, valid, test)


@refusals_of_recbole()
def build_model(config: Any, train: Any) -> Any:
    """Make the model that `config` names, on its device. `train` is the loader of the training."""
    from llm4rec_recbole.training import trainer

    network = config.model_class(config, train._dataset)
    trainer.count_steps(network, config)
    trainer.initialise_items(network, config, train._dataset)
    network = network.to(config["device"])
    for component, lacking in getattr(network, "idle_components", {}).items():
        note(config, f"component {component} is off: the data have {lacking}")
    trainer.use_byte_dropout(network)
    return network


@refusals_of_recbole()
def build_trainer(config: Any, network: Any) -> TrainedRun:
    """Give the model RecBole's trainer of its kind. No epoch has run yet."""
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
    """Train until the validation metric stops improving, then load the best checkpoint.

    Without `save` nothing is written, and the model stays as the last epoch left it. `watch` is
    called after each validation with the epoch, counted from 1, and the metric's value.
    """
    from llm4rec_recbole.training.trainer import load_best, run_epochs

    if save:
        check_folders(trained.config)
    if trained.config["resume"]:
        resume_training(trained)
    check_batches(trained.model, data.train)
    run_epochs(trained, data.train, data.valid, save, watch)
    if save:
        load_best(trained)
    return trained


@refusals_of_recbole()
def rank_held_out(trained: TrainedRun, data: Data) -> Rankings | Mapping[str, float]:
    """Rank the held-out item of each test user. Under RecBole's own protocol, return RecBole's
    metrics instead.

    A model that adapts learns between the rankings, from validation items in the order of time.
    Each test user is ranked by a model that has learned only from earlier items.
    """
    config, model, test = trained.config, trained.model, data.test
    idle = set(getattr(model, "idle_components", {}))
    with trained.energy.measure("evaluation"):
        if not isinstance(test, HeldOutLoader):
            return trained.trainer.evaluate(test, load_best_model=False)
        ranks = test.rank(model, data.valid, progress=config["show_progress"])
    for component, why in getattr(model, "idle_components", {}).items():
        if component not in idle:
            note(config, f"component {component} is off: {why}")
    return ranks


def write_record(trained: TrainedRun, ranks: Rankings | Mapping[str, float], data: Data) -> Path:
    """Write the users file and the run record; return the record's path."""
    path = record_writer.write_record(trained, ranks, data.test.dataset)
    checkpoint = trained.trainer.saved_model_file
    if Path(checkpoint).is_file():  # a model of decision trees has none
        if isinstance(data.test, HeldOutLoader):
            save_adapted_weights(trained.model, checkpoint, data.test.held_out)
        checkpoints.mark_finished(checkpoint)
        Path(f"{checkpoint}{checkpoints.STOPPED}").unlink(missing_ok=True)
    return path
