"""The checks of the atomic files against the options that name them, before data are loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llm4rec_recbole.data.atomic import read_atomic
from llm4rec_recbole.data.dataset_files import OTHER_SUFFIXES, DatasetFiles, needs_times
from llm4rec_recbole.data.splits import PROTOCOLS
from llm4rec_recbole.errors import InputError, did_you_mean, shorten
from llm4rec_recbole.files import properties_folder
from llm4rec_recbole.training.row_checks import learns_labels

#: Options that name columns. RecBole ignores most of the names that no file has.
_COLUMN_OPTIONS = (
    *("val_interval", "threshold", "normalize_field", "numerical_features"),
    *("seq_len", "discretization"),
)
_ALIASES = tuple(f"alias_of_{kind}_id" for kind in ("user", "item", "entity", "relation"))


def check_data(config: Any) -> None:
    """Refuse a broken file by its line, and a choice of columns that its header does not have."""
    files = DatasetFiles.of(config)
    required = [config["USER_ID_FIELD"], config["ITEM_ID_FIELD"]]
    if needs_times(config):
        required.append(config["TIME_FIELD"])
    _check_columns(config["load_col"], required)
    _check_unused(config["unused_col"], required[:2])
    files.check(needs_times(config))
    _check_parts(config)
    _check_headers(config, files)
    _check_named_columns(config, files)
    _check_labels(config, files)


def _check_columns(load_col: Any, required: list[str]) -> None:
    """Refuse a choice of columns to read that lacks one of those `required`."""
    if load_col is None:
        return
    hint = f"such as {{inter: [{', '.join(required)}]}}; ~ reads all"
    columns = load_col.get("inter", [])
    for name in required:
        if columns != "*" and name not in columns:
            message = f"load_col reads {', '.join(columns) or 'nothing'} of the interactions"
            raise InputError(f"{message}, but {name} is needed", hint=hint)


def _check_unused(unused_col: Any, required: list[str]) -> None:
    for name in (unused_col or {}).get("inter", []):
        if name in required:
            raise InputError(f"unused_col hides {name}, which every model reads")


def _check_headers(config: Any, files: DatasetFiles) -> None:
    """Refuse a column that load_col names and that its file lacks: RecBole would ignore it."""
    given = "load_col" in config.external_config_dict
    for suffix, columns in (config["load_col"] or {}).items():
        file = files.interactions[0] if suffix == "inter" else files.path(suffix)
        if not file.is_file():
            continue
        header = read_atomic(file, files.file_format).types
        missing = [name for name in columns if name not in header and columns != "*"]
        if missing:
            path = properties_folder() / "dataset" / f"{config['dataset']}.yaml"
            origin = "load_col" if given else f"load_col of {path.parent.name}/{path.name}"
            message = f"there is no column {missing[0]}, which {origin} names"
            message += did_you_mean(missing[0], header)
            hint = f"its columns are {', '.join(header)}; choose some with --load_col, ~ reads all"
            raise InputError(message, file=file, line=1, hint=hint)


def _check_parts(config: Any) -> None:
    """Refuse a split of benchmark parts, which RecBole does not split."""
    given = config.external_config_dict.get("eval_args") or {}
    for name in ("split", "group_by", "order"):
        if config["benchmark_filename"] is not None and name in given:
            message = f"eval_args.{name} is not read with benchmark_filename"
            raise InputError(message, hint="the parts are the split")


def _check_named_columns(config: Any, files: DatasetFiles) -> None:
    """Refuse a column name that no file has, and an interval for a column of the wrong type."""
    suffixes = [*OTHER_SUFFIXES, *_names(config["additional_feat_suffix"])]
    paths = [files.interactions[0], *(files.path(suffix) for suffix in suffixes)]
    types: dict[str, str] = {}
    for path in filter(type(files.folder).is_file, paths):
        types |= read_atomic(path, files.file_format).types
    for option, name in _named_columns(config):
        if name not in types:
            message = f"{option} names {shorten(name)}, which no file has"
            raise InputError(f"{message}{did_you_mean(str(name), types)}")
    for name, interval in (config["val_interval"] or {}).items():
        if types[name].startswith("float") == isinstance(interval, list):
            needed = "an interval" if types[name].startswith("float") else "a list of values"
            message = f"val_interval.{name} is {shorten(interval)}"
            raise InputError(message, hint=f"{name} is of type {types[name]}: give {needed}")


def _check_labels(config: Any, files: DatasetFiles) -> None:
    """Refuse a loss or a metric of labels where the interactions have none."""
    if config["threshold"] is not None:
        return
    name, load_col = config["LABEL_FIELD"], (config["load_col"] or {}).get("inter", "*")
    hidden = (config["unload_col"] or {}).get("inter", ())
    header = read_atomic(files.interactions[0], files.file_format).types
    if name in header and (load_col == "*" or name in load_col) and name not in hidden:
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
        yield from ((option, name) for name in _names(given.get(option)))
    for option in ("unload_col", "unused_col"):
        for names in (given.get(option) or {}).values():
            yield from ((option, name) for name in _names(names))


def _names(names: Any) -> list[Any]:
    """The names of a list or a mapping, or one name, as a list."""
    return [names] if isinstance(names, str) else list(names or ())
