"""Checks that the training rows hold the negatives or labels that the loss reads."""

from __future__ import annotations

import inspect
from typing import Any

from llm4rec_recbole.data.splits import PROTOCOLS
from llm4rec_recbole.errors import InputError, shorten

#: Keys of `train_neg_sample_args` that some settings ignore → the value without effect.
_WITHOUT_EFFECT = {"alpha": 1.0, "candidate_num": 0, "strata": None}


def check_negatives(config: Any) -> None:
    """Refuse a setting of `train_neg_sample_args` that is ignored, and a loss without negatives.

    Raises InputError. Reads no data.
    """
    given = config["train_neg_sample_args"]
    if given["distribution"] == "none":
        windows = getattr(config.model_class, "batches", None)
        pairwise = config["MODEL_INPUT_TYPE"].name == "PAIRWISE"
        if pairwise and not windows and _reads(config.model_class, "NEG_ITEM_ID"):
            hint = "such as --train_neg_sample_args='{distribution: uniform, sample_num: 1}'"
            raise InputError(f"the loss of {config['model']} needs negatives", hint=hint)
        return
    if given["dynamic"] and given["candidate_num"] < 1:
        hint = "it is the number of candidates of which the hardest is the negative"
        raise InputError("train_neg_sample_args.dynamic needs candidate_num", hint=hint)
    readers = {
        "alpha": given["distribution"] != "uniform",
        "candidate_num": given["dynamic"],
        "strata": given["distribution"] == "popularity_strata",
    }
    for name, read in readers.items():
        value = given.get(name, _WITHOUT_EFFECT[name])
        if not read and value != _WITHOUT_EFFECT[name]:
            settings = f"distribution {given['distribution']}, dynamic {given['dynamic']}"
            message = f"train_neg_sample_args.{name} is {shorten(value)}, but nothing reads it"
            raise InputError(message, hint=f"the settings are {settings}")


def check_threshold(config: Any) -> None:
    """Refuse a `threshold` whose labels neither the loss nor the evaluation reads. No data."""
    if config.external_config_dict.get("threshold") is None:
        return
    drawn = config["train_neg_sample_args"]["distribution"] != "none"
    trees = config["MODEL_TYPE"].name == "DECISIONTREE"
    evaluated = config["protocol"] not in PROTOCOLS
    evaluated = evaluated and "labeled" in config["eval_args"]["mode"].values()
    if not (trees or evaluated or (learns_labels(config) and not drawn)):
        learns = "draws negatives" if learns_labels(config) else "does not learn from labels"
        hint = "--val_interval={rating: '[4,inf)'} reads the interactions with these ratings only"
        raise InputError(f"threshold makes labels, but {config['model']} {learns}", hint=hint)


def check_sizes(config: Any, dataset: Any) -> None:
    """Refuse more clusters or a longer list than the training data set has users and items for."""
    clusters, fewest = config["num_clusters"], min(dataset.user_num, dataset.item_num)
    if config["model"] == "NCL" and clusters > fewest:
        message = f"num_clusters is {clusters}, but there are {fewest} users or items to cluster"
        raise InputError(message, hint=f"--num_clusters of at most {fewest}")
    largest, n_items = max(config["topk"]), dataset.item_num - 1
    if config["protocol"] not in PROTOCOLS and largest > n_items:
        message = f"topk is {largest}, but {config['dataset']} has {n_items} items"
        raise InputError(message, hint=f"--topk of at most {n_items}")


def learns_labels(config: Any) -> bool:
    """Whether the loss of the model reads labels, where no negatives are drawn."""
    return config["MODEL_TYPE"].name == "CONTEXT" or _reads(config.model_class, "LABEL_FIELD")


def _reads(model_class: type, name: str) -> bool:
    """Whether the source of the class or of its own base classes has `name`."""
    for base in model_class.__mro__:
        if base is object or base.__module__ == "recbole.model.abstract_recommender":
            continue
        try:
            if name in inspect.getsource(base):
                return True
        except (OSError, TypeError):  # a class without a source file
            continue
    return False
