"""Checks of the data: files against the options that name them, negatives and labels of a loss."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llm4rec_recbole.data.atomic import read_header
from llm4rec_recbole.data.column_checks import check_column_names, check_column_options, is_read
from llm4rec_recbole.data.dataset_files import DatasetFiles, needs_times
from llm4rec_recbole.data.splits import PROTOCOLS
from llm4rec_recbole.errors import InputError, shorten
from llm4rec_recbole.option_readers import source_of


def check_data(config: Any) -> None:
    """Refuse a choice of columns that a header does not have, then a broken file by its line."""
    files = DatasetFiles.of(config)
    required = [config["USER_ID_FIELD"], config["ITEM_ID_FIELD"]]
    if needs_times(config):
        required.append(config["TIME_FIELD"])
    check_column_options(config, required)
    for name in ("split", "group_by", "order"):
        given = config.external_config_dict.get("eval_args") or {}
        if config["benchmark_filename"] is not None and name in given:
            message = f"eval_args.{name} is not read with benchmark_filename"
            raise InputError(message, hint="the parts are the split")
    for path in files.interactions:
        read_header(path, files.file_format, required)
    check_column_names(config, files)
    _check_labels(config, files)
    files.check(needs_times(config))


def _check_labels(config: Any, files: DatasetFiles) -> None:
    """Refuse a loss or a metric of labels where the interactions have none."""
    if config["threshold"] is not None:
        return
    name = config["LABEL_FIELD"]
    header = read_header(files.interactions[0], files.file_format)
    if name in header and is_read(config, "inter", name):
        return
    reader = None
    if config["protocol"] not in PROTOCOLS and "labeled" in config["eval_args"]["mode"].values():
        reader = f"{config['metrics'][0]} is a metric of labels"
    elif config["train_neg_sample_args"]["distribution"] == "none" and learns_labels(config):
        reader = f"{config['model']} learns from labels"
    if reader is not None:
        hint = "let load_col read ratings, and --threshold='{rating: 4}'"
        raise InputError(f"{reader}, and nothing makes them", hint=hint)


# Negatives and labels.

#: Keys of `train_neg_sample_args` that some settings ignore → the value without effect.
_WITHOUT_EFFECT = {"alpha": 1.0, "candidate_num": 0, "strata": None}


def check_negatives(config: Any) -> None:
    """Refuse a setting of `train_neg_sample_args` that is ignored, and a loss without negatives.
    Raises InputError. Reads no data."""
    given = config["train_neg_sample_args"]
    if given["distribution"] == "none":
        windows = getattr(config.model_class, "batches", None)
        pairwise = config["MODEL_INPUT_TYPE"].name == "PAIRWISE"
        if pairwise and not windows and reads(config.model_class, "NEG_ITEM_ID"):
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


#: Options that say how many items are drawn or searched → the number that is always allowed.
_ITEM_COUNTS = {"num_negatives": 2048, "beam_width": 100}


def check_sizes(config: Any, dataset: Any) -> None:
    """Refuse more clusters, negatives, beams or ranks than the training data has users or items."""
    clusters, fewest = config["num_clusters"], min(dataset.user_num, dataset.item_num)
    if config["model"] == "NCL" and clusters > fewest:
        message = f"num_clusters is {clusters}, but there are {fewest} users or items to cluster"
        raise InputError(message, hint=f"--num_clusters of at most {fewest}")
    n_items = dataset.item_num - 1
    negatives = config["train_neg_sample_args"] or {}
    counts = {name: (config[name], least) for name, least in _ITEM_COUNTS.items()}
    if negatives.get("distribution", "none") != "none":
        for key in ("sample_num", "candidate_num"):
            counts[f"train_neg_sample_args.{key}"] = (negatives.get(key), 1)
    if config["protocol"] not in PROTOCOLS:
        counts["topk"] = (max(config["topk"]), 1)
        for phase, mode in config["eval_args"]["mode"].items():
            drawn = mode.removeprefix("uni").removeprefix("pop")
            counts[f"eval_args.mode.{phase}"] = (int(drawn) if drawn.isdecimal() else None, 100)
    for name, (count, least) in counts.items():
        if count is not None and count > max(n_items, least):
            message = f"{name} is {count}, but {config['dataset']} has {n_items} items"
            raise InputError(message, hint=f"at most {max(n_items, least)}")


def check_label_values(config: Any, train: Any, held_out: Iterable[Any]) -> None:
    """Refuse labels that a loss or a metric cannot use, before the first epoch.

    train, held_out: RecBole's data sets. A loss by cross-entropy needs labels in [0, 1]; with
    labels that are all the same, it learns a constant, and AUC and GAUC have no value.
    """
    name = config["LABEL_FIELD"]
    if config["train_neg_sample_args"]["distribution"] == "none" and learns_labels(config):
        labels = train.inter_feat[name]
        if reads(config.model_class, "BCE") and (labels.min() < 0 or labels.max() > 1):
            message = f"{name} has values from {labels.min():g} to {labels.max():g}"
            hint = "--threshold='{rating: 4}' makes labels of 0 and 1"
            raise InputError(
                f"{message}, and the loss of {config['model']} needs 0 to 1", hint=hint
            )
        _refuse_one_label(config, labels, f"{config['model']} learns nothing from them")
    metrics = {str(metric).lower() for metric in config["metrics"]} & {"auc", "gauc"}
    labeled = config["protocol"] not in PROTOCOLS
    labeled = labeled and "labeled" in config["eval_args"]["mode"].values()
    for part in held_out if labeled and metrics else ():
        _refuse_one_label(config, part.inter_feat[name], f"{min(metrics)} has no value")


def _refuse_one_label(config: Any, labels: Any, consequence: str) -> None:
    if len(labels) and labels.min() == labels.max():
        hint = "choose another threshold" if config["threshold"] else "labels need two values"
        message = f"all labels of a part of the data are {labels.min():g}: {consequence}"
        raise InputError(message, hint=hint)


def check_batches(model: Any, train: Any) -> None:
    """Refuse a last batch of one row for a model that normalises over the rows of a batch."""
    from torch.nn import BatchNorm1d

    rows, step = getattr(train, "sample_size", 0), getattr(train, "step", 0)
    if not step or not any(isinstance(part, BatchNorm1d) for part in model.modules()):
        return
    if (rows % step or step) * getattr(train, "times", 1) == 1:
        message = "the last batch has one row, and the model normalises over the rows of a batch"
        raise InputError(message, hint="choose another --train_batch_size")


def learns_labels(config: Any) -> bool:
    """Whether the loss of the model reads labels, where no negatives are drawn."""
    return config["MODEL_TYPE"].name == "CONTEXT" or reads(config.model_class, "LABEL_FIELD")


def reads(model_class: type, name: str) -> bool:
    """Whether the source of the class or of its own base classes has `name`."""
    for base in model_class.__mro__:
        if base is object or base.__module__ == "recbole.model.abstract_recommender":
            continue
        if name in source_of(base):
            return True
    return False
