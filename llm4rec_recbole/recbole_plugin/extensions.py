"""Where RecBole finds what this project adds: models, data sets, trainers, metrics."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.recbole_compat.import_hook import mends, replace
from llm4rec_recbole.registry import DATASETS, METRICS, MODELS, TRAINERS, load


@mends("recbole.utils.utils", upstream="none: RecBole finds models only in its own package")
def own_models(module: ModuleType) -> None:
    """Look a model up in MODELS first, then among RecBole's.

    RecBole looks last in a folder whose models need lightgbm and xgboost, and imports both there.
    """
    of_recbole = module.get_model

    def get_model(model_name: str) -> type:
        if model_name in MODELS:
            return load(MODELS, model_name)
        try:
            return of_recbole(model_name)
        except ModuleNotFoundError as error:
            if model_name.lower() in ("lightgbm", "xgboost"):
                raise InputError(f"{model_name} needs the package {error.name}") from error
            raise InputError(f"there is no model {model_name}") from error

    replace(module, "get_model", get_model)


@mends("recbole.data.dataset", upstream="none: RecBole finds data sets only in its own package")
def own_datasets(module: ModuleType) -> None:
    _offer(module, DATASETS)


@mends("recbole.trainer", upstream="none: RecBole finds trainers only in its own package")
def own_trainers(module: ModuleType) -> None:
    _offer(module, TRAINERS)


def _offer(module: ModuleType, table: dict[str, str]) -> None:
    """Make `module.<name>` the class in `table`, imported on first use (PEP 562)."""

    def __getattr__(name: str) -> Any:
        if name not in table:
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        return load(table, name)

    for name in table:  # one of RecBole's own of the same name would hide ours
        vars(module).pop(name, None)
    vars(module)["__getattr__"] = __getattr__


@mends("recbole.evaluator.register", upstream="none: RecBole lists metrics once, at import")
def own_metrics(module: ModuleType) -> None:
    """Add METRICS to the four tables from which RecBole looks a metric up.

    A program that imports metrics.py first imports RecBole's tables from within it. Its classes do
    not exist yet then, and its last line calls this function again.
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
