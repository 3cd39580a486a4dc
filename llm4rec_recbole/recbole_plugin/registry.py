"""What this project adds to RecBole, by name: models, data sets, trainers, metrics.

Each table maps a class's name to the module that holds it, which is imported when RecBole first
asks for the class. RecBole finds them by its own rules:

    model     `get_model("SASRec")`                          any name; ours comes before RecBole's
    data set  `recbole.data.dataset.<Model>Dataset`          per model
    trainer   `recbole.trainer.<Model>Trainer`               per model
    metric    `recbole.evaluator.register`, in lower case    any name in the option `metrics`
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.recbole_plugin.hook import mends, replace

#: EnhancedGenRec, and each of its components alone.
ENHANCED_GENREC = (
    "EnhancedGenRec",
    "GenRecFusion",
    "GenRecRetrieval",
    "GenRecDebias",
    "GenRecExplain",
    "GenRecAdapt",
)
MODELS: dict[str, str] = {
    "EASE": "llm4rec_recbole.models.linear",
    "GenRec": "llm4rec_recbole.models.genrec",
    "ItemKNN": "llm4rec_recbole.models.linear",
    "P5": "llm4rec_recbole.models.p5",
    "RecencyEASE": "llm4rec_recbole.models.linear",
    "SASRec": "llm4rec_recbole.models.sasrec",
    **dict.fromkeys(ENHANCED_GENREC, "llm4rec_recbole.models.enhanced_genrec"),
}
DATASETS: dict[str, str] = {
    "BERT4RecDataset": "llm4rec_recbole.training.datasets",
    "GenRecDataset": "llm4rec_recbole.training.datasets",
    "P5Dataset": "llm4rec_recbole.training.datasets",
    "SASRecDataset": "llm4rec_recbole.training.datasets",
    **{f"{name}Dataset": "llm4rec_recbole.training.datasets" for name in ENHANCED_GENREC},
}
TRAINERS: dict[str, str] = {
    f"{name}Trainer": "llm4rec_recbole.training.scheduled"
    for name in ("GenRec", "P5", *ENHANCED_GENREC)
}
METRICS: dict[str, str] = {
    "Coverage": "llm4rec_recbole.recbole_plugin.metrics",
    "Fairness": "llm4rec_recbole.recbole_plugin.metrics",
    "IntraListDiversity": "llm4rec_recbole.recbole_plugin.metrics",
    "Novelty": "llm4rec_recbole.recbole_plugin.metrics",
}


def variant(name: str) -> tuple[str, dict[str, Any]]:
    """The model and the options that `name` stands for: most stand for themselves.

    EnhancedGenRec_fusion_retrieval is EnhancedGenRec with two components, EnhancedGenRec_none with
    none; their records go by that name.
    """
    model, *components = name.split("_")
    if model != "EnhancedGenRec" or not components:
        return name, {}
    return model, {"components": [c for c in components if c != "none"], "method": name}


def load(table: dict[str, str], name: str) -> Any:
    """The class that `table` lists under `name`. Raises KeyError when it is not listed."""
    return getattr(importlib.import_module(table[name]), name)


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
    """Add METRICS to the four tables from which RecBole looks a metric up."""
    for name in METRICS:
        metric, key = load(METRICS, name), name.lower()
        module.metrics_dict[key] = metric
        module.metric_information[key] = metric.metric_need
        module.metric_types[key] = metric.metric_type
        if metric.smaller:
            module.smaller_metrics.append(key)
