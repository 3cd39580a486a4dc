"""Checks of the options that name columns of the atomic files, before any row is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llm4rec_recbole.data.atomic import read_header
from llm4rec_recbole.data.dataset_files import OTHER_SUFFIXES, DatasetFiles, needs_times
from llm4rec_recbole.errors import InputError, did_you_mean, shorten
from llm4rec_recbole.files import properties_folder

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


def check_column_options(config: Any, required: list[str]) -> None:
    """Refuse options that hide, drop or scale a column that the run reads. No file is read.

    required: the columns of the interactions that every run of this kind reads.
    """
    _check_suffixes(config)
    _check_columns(config["load_col"], required)
    _check_hidden(config, required)
    _check_times(config)


def check_column_names(config: Any, files: DatasetFiles) -> None:
    """Refuse a column that the headers of the files do not have, or have with another type."""
    _check_headers(config, files)
    _check_named_columns(config, files)
    _check_made_columns(config, files)
    _check_groups(config, files)


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
            read |= {name for name in header if is_read(config, suffix, name)}
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


def is_read(config: Any, suffix: str, name: str) -> bool:
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
