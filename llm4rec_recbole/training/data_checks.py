"""Checks of the data: files against the options that name them, negatives and labels of a loss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from llm4rec_recbole.data.atomic import read_header
from llm4rec_recbole.data.dataset_files import OTHER_SUFFIXES, DatasetFiles, needs_times
from llm4rec_recbole.data.splits import PROTOCOLS
from llm4rec_recbole.errors import InputError, did_you_mean, shorten
from llm4rec_recbole.files import properties_folder
from llm4rec_recbole.option_readers import source_of

#: Options that name columns → the types of column that they read. RecBole ignores most of the
#: other names and types.
_COLUMN_OPTIONS = {
    "val_interval": ("token", "float"),
    "threshold": ("float",),
    **dict.fromkeys(("normalize_field", "numerical_features", "discretization"), ("float",)),
    "seq_len": ("token_seq", "float_seq"),
    "selected_features": ("token", "token_seq", "float", "float_seq"),
    "item_attribute": ("token", "token_seq"),
}
#: Options whose columns a model reads by default.
_READ_BY_DEFAULT = ("selected_features", "item_attribute")
_ALIASES = tuple(f"alias_of_{kind}_id" for kind in ("user", "item", "entity", "relation"))
_ALIAS_TYPES = ("token", "token_seq")


def check_data(config: Any) -> None:
    """Refuse a choice of columns that a header does not have, then a broken file by its line."""
    files = DatasetFiles.of(config)
    required = [config["USER_ID_FIELD"], config["ITEM_ID_FIELD"]]
    if needs_times(config):
        required.append(config["TIME_FIELD"])
    _check_suffixes(config)
    _check_columns(config["load_col"], required)
    _check_hidden(config, required)
    _check_times(config)
    for name in ("split", "group_by", "order"):
        given = config.external_config_dict.get("eval_args") or {}
        if config["benchmark_filename"] is not None and name in given:
            message = f"eval_args.{name} is not read with benchmark_filename"
            raise InputError(message, hint="the parts are the split")
    for path in files.interactions:
        read_header(path, files.file_format, required)
    _check_headers(config, files)
    _check_named_columns(config, files)
    _check_made_columns(config, files)
    _check_labels(config, files)
    _check_groups(config, files)
    files.check(needs_times(config))


def _check_groups(config: Any, files: DatasetFiles) -> None:
    """Refuse groups of users by a column that the `.user` file does not have."""
    name, path = config["fairness_groups"], files.path("user")
    header = read_header(path, files.file_format) if path.is_file() else {}
    if name is not None and name not in header:
        message = f"fairness_groups is {name}, which the data set's .user file does not have"
        columns = ", ".join(column for column in header if column != config["USER_ID_FIELD"])
        raise InputError(message, hint=f"it has {columns or 'no columns'}")


def _check_suffixes(config: Any) -> None:
    """Refuse columns of a file that RecBole does not read."""
    suffixes = ["inter", *OTHER_SUFFIXES, *_names(config["additional_feat_suffix"])]
    for option in ("load_col", "unload_col", "unused_col"):
        for suffix in config[option] or ():
            if suffix not in suffixes:
                message = f"{option} names columns of .{shorten(suffix)}, which nothing reads"
                hint = f"it reads {', '.join(suffixes)}; additional_feat_suffix adds a file"
                raise InputError(f"{message}{did_you_mean(str(suffix), suffixes)}", hint=hint)


def _check_columns(load_col: Any, required: list[str]) -> None:
    """Refuse a choice of columns to read that lacks a `required` column."""
    if load_col is None:
        return
    hint = f"such as {{inter: [{', '.join(required)}]}}; ~ reads all"
    columns = load_col.get("inter", [])
    for name in required:
        if columns != "*" and name not in columns:
            message = f"load_col reads {', '.join(columns) or 'nothing'} of the interactions"
            raise InputError(f"{message}, but {name} is needed", hint=hint)


def _check_hidden(config: Any, required: list[str]) -> None:
    """Refuse to hide a `required` column; only the split needs the columns after the ids."""
    for option, needed in (("unload_col", required), ("unused_col", required[:2])):
        for name in (config[option] or {}).get("inter", []):
            if name in needed:
                raise InputError(f"{option} hides {name}, which this run reads")


def _check_times(config: Any) -> None:
    """Refuse to scale, to cut into classes or to drop the times where the run reads them."""
    if not needs_times(config):
        return
    times = config["TIME_FIELD"]
    if config["normalize_all"]:
        hint = "name the columns in normalize_field"
        raise InputError("normalize_all scales the times, which this run reads", hint=hint)
    if times in (config["normalize_field"] or ()):
        raise InputError(f"normalize_field scales {times}, which this run reads")
    if times in (config["discretization"] or ()):
        raise InputError(f"discretization cuts {times} into classes, which this run reads as times")
    if times in (config["threshold"] or ()):
        hint = "name another column, such as the ratings"
        raise InputError(f"threshold drops {times}, which this run reads", hint=hint)


def _check_headers(config: Any, files: DatasetFiles) -> None:
    """Refuse a column that load_col names and that its file lacks: RecBole would ignore it."""
    given = "load_col" in config.external_config_dict
    for suffix, columns in (config["load_col"] or {}).items():
        file = files.interactions[0] if suffix == "inter" else files.path(suffix)
        if not file.is_file():
            if given and columns:
                message = f"load_col names columns of {file.name}, which does not exist"
                raise InputError(message, hint=f"leave {suffix} out of load_col")
            continue
        header = read_header(file, files.file_format)
        missing = [name for name in columns if name not in header and columns != "*"]
        if missing:
            path = properties_folder() / "dataset" / f"{config['dataset']}.yaml"
            origin = "load_col" if given else f"load_col of {path.parent.name}/{path.name}"
            message = f"there is no column {missing[0]}, which {origin} names"
            message += did_you_mean(missing[0], header)
            hint = f"its columns are {', '.join(header)}; choose some with --load_col, ~ reads all"
            raise InputError(message, file=file, line=1, hint=hint)


def _check_named_columns(config: Any, files: DatasetFiles) -> None:
    """Refuse a column that no file has, that is not read, or whose type the option or its interval
    does not fit."""
    types: dict[str, str] = {}
    read: set[str] = set()
    for suffix in ("inter", *OTHER_SUFFIXES, *_names(config["additional_feat_suffix"])):
        path = files.interactions[0] if suffix == "inter" else files.path(suffix)
        if path.is_file():
            header = read_header(path, files.file_format)
            types |= header
            read |= {name for name in header if _is_read(config, suffix, name)}
    for option, name in _named_columns(config):
        if name not in types:
            message = f"{option} names {shorten(name)}, which no file has"
            raise InputError(f"{message}{did_you_mean(str(name), types)}")
        if name not in read and option not in ("unload_col", "unused_col"):
            hint = "add it to load_col, or set --load_col=~"
            raise InputError(f"{option} names {name}, which load_col does not read", hint=hint)
        allowed = (
            _ALIAS_TYPES if option in _ALIASES else _COLUMN_OPTIONS.get(option, types.values())
        )
        if types[name] not in allowed:
            message = f"{option} names {name}, a column of type {types[name]}"
            raise InputError(message, hint=f"it reads columns of type {' or '.join(allowed)}")
    for name, interval in (config["val_interval"] or {}).items():
        if types[name].startswith("float") == isinstance(interval, list):
            needed = "an interval" if types[name].startswith("float") else "a list of values"
            message = f"val_interval.{name} is {shorten(interval)}"
            raise InputError(message, hint=f"{name} is of type {types[name]}: give {needed}")


def _is_read(config: Any, suffix: str, name: str) -> bool:
    """Whether RecBole loads this column of the file with this suffix."""
    load_col = config["load_col"]
    columns = "*" if load_col is None else load_col.get(suffix, ())
    hidden = (config["unload_col"] or {}).get(suffix, ())
    return (columns == "*" or name in columns) and name not in hidden


def _check_made_columns(config: Any, files: DatasetFiles) -> None:
    """Refuse a column of the interactions that RecBole would write over with one that it makes."""
    item, header = config["ITEM_ID_FIELD"], read_header(files.interactions[0], files.file_format)
    made = {f"{config['NEG_PREFIX']}{item}": "NEG_PREFIX"}
    if config["MODEL_TYPE"].name == "SEQUENTIAL" and config["benchmark_filename"] is None:
        made[f"{item}{config['LIST_SUFFIX']}"] = "LIST_SUFFIX"
        made[config["ITEM_LIST_LENGTH_FIELD"]] = "ITEM_LIST_LENGTH_FIELD"
    for name, option in made.items():
        if name in header:
            message = f"the run makes a column {name}, and this file has one"
            hint = f"choose another --{option}"
            raise InputError(message, file=files.interactions[0], line=1, hint=hint)


def _check_labels(config: Any, files: DatasetFiles) -> None:
    """Refuse a loss or a metric of labels where the interactions have none."""
    if config["threshold"] is not None:
        return
    name = config["LABEL_FIELD"]
    header = read_header(files.interactions[0], files.file_format)
    if name in header and _is_read(config, "inter", name):
        return
    reader = None
    if config["protocol"] not in PROTOCOLS and "labeled" in config["eval_args"]["mode"].values():
        reader = f"{config['metrics'][0]} is a metric of labels"
    elif config["train_neg_sample_args"]["distribution"] == "none" and learns_labels(config):
        reader = f"{config['model']} learns from labels"
    if reader is not None:
        hint = "let load_col read ratings, and --threshold='{rating: 4}'"
        raise InputError(f"{reader}, and nothing makes them", hint=hint)


def _named_columns(config: Any) -> Iterator[tuple[str, Any]]:
    """Each option that the user gave, or that is an alias, with each column that it names."""
    given = config.external_config_dict
    for option in _ALIASES:
        yield from ((option, name) for name in _names(config[option]))
    for option in _COLUMN_OPTIONS:
        names = config[option] if option in _READ_BY_DEFAULT else given.get(option)
        yield from ((option, name) for name in _names(names))
    for option in ("unload_col", "unused_col"):
        for names in (given.get(option) or {}).values():
            yield from ((option, name) for name in _names(names))


def _names(names: Any) -> list[Any]:
    """The names of a list or a mapping, or one name, as a list."""
    return [names] if isinstance(names, str) else list(names or ())


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
