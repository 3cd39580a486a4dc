"""Parts of the main path (run.py), for tests, benchmarks, searches and restored runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm4rec_recbole import checkpoints
from llm4rec_recbole.errors import InputError, shorten
from llm4rec_recbole.evaluation.record_writer import TrainedRun
from llm4rec_recbole.recbole_compat import model_state
from llm4rec_recbole.training.run import (
    Data,
    build_model,
    build_trainer,
    fit,
    load_config,
    load_dataset,
)


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
    return Experiment(data, build_trainer(config, build_model(config, data.train)))


def train(
    model: Any = None,
    dataset: str | None = None,
    config_files: Sequence[str] = (),
    options: dict[str, Any] | None = None,
    save: bool = True,
) -> Experiment:
    """Everything before the test: a model at its best checkpoint. `save` as in `run.fit`."""
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
    run = state["config"]
    options = run["options"] | {"quiet": True, "energy_country": None}
    config = load_config(run["model"], run["dataset"], (), options)
    data = load_dataset(config)
    check(data.dataset)
    network = build_model(config, data.train)
    model_state.set_weights(network, state, path)
    return Experiment(data, TrainedRun(config, network, None))
