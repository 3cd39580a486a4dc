"""Where RecBole finds what this project adds: models, data sets, trainers, metrics.

RecBole looks up classes by name. A model of this project says by class attributes which batches and
which trainer it needs, so RecBole finds those from the model alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

from llm4rec_recbole.errors import InputError, missing_package
from llm4rec_recbole.recbole_compat.import_hook import patch, replace
from llm4rec_recbole.registry import METRICS, MODELS, load, resolve_model


@patch("recbole.utils.utils", upstream="none: RecBole finds models only in its own package")
def find_models(module: ModuleType) -> None:
    """Look up a model in MODELS first, then among the user's own, then among RecBole's.

    RecBole looks last in a folder whose models need lightgbm and xgboost, and imports both there.
    """
    of_recbole = module.get_model

    def get_model(model_name: str) -> type:
        if model_name in MODELS:
            return load(MODELS, model_name)
        own = resolve_model(model_name)
        if isinstance(own, type):
            return own
        try:
            return of_recbole(model_name)
        except ModuleNotFoundError as error:
            if model_name.lower() in ("lightgbm", "xgboost"):
                raise missing_package(error.name or "", model_name) from error
            raise InputError(f"there is no model {model_name}") from error

    replace(module, "get_model", get_model)


@patch("recbole.data.dataset", upstream="none: RecBole finds data sets only in its own package")
def find_datasets(module: ModuleType) -> None:
    """RecBole looks for `<Model>Dataset`: windows for a model with the attribute `batches`."""

    def choose(model: type) -> type | None:
        from llm4rec_recbole.training.dataset import WindowDataset

        return WindowDataset if getattr(model, "batches", None) else None

    _choose_by_model(module, "Dataset", choose)


@patch("recbole.trainer", upstream="none: RecBole finds trainers only in its own package")
def find_trainers(module: ModuleType) -> None:
    """RecBole looks for `<Model>Trainer`: a model names its own by the attribute `schedule`."""

    def choose(model: type) -> type | None:
        from llm4rec_recbole.training.trainer import TRAINERS

        return TRAINERS.get(getattr(model, "schedule", ""))

    _choose_by_model(module, "Trainer", choose)


def _choose_by_model(
    module: ModuleType, ending: str, choose: Callable[[type], type | None]
) -> None:
    """Make `module.<Model><ending>` what `choose` returns for the model class (PEP 562)."""

    def __getattr__(name: str) -> Any:
        from recbole.utils import get_model

        model = name.removesuffix(ending)
        if model and model != name:
            with suppress(InputError):
                if chosen := choose(get_model(model)):
                    return chosen
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    vars(module)["__getattr__"] = __getattr__


@patch("recbole.evaluator.register", upstream="none: RecBole lists metrics once, at import")
def add_metrics(module: ModuleType) -> None:
    """Add METRICS to the four tables from which RecBole looks up a metric.

    A program that imports metrics.py first imports RecBole's tables from within it. The classes of
    metrics.py do not exist yet at that point, and its last line calls this function again.
    """
    own = sys.modules.get(METRICS["Coverage"])
    if own is not None and not hasattr(own, "Fairness"):
        return
    for name in METRICS:
        metric, key = load(METRICS, name), name.lower()
        module.metrics_dict[key] = metric
        module.metric_information[key] = metric.metric_need
        module.metric_types[key] = metric.metric_type
        if metric.smaller:
            module.smaller_metrics.append(key)
