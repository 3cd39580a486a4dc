"""Where the options of a run come from, and which values precede which.

RecBole's files  <  this project's option classes  <  properties/{overall, model/…, dataset/…,
protocol/…}.yaml  <  --config_files, later ones win  <  the command line or RecBole's API

An option that the run does not read (option_readers.py) is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from llm4rec_recbole import option_readers
from llm4rec_recbole.errors import InputError, did_you_mean, shorten
from llm4rec_recbole.files import properties_folder as folder
from llm4rec_recbole.registry import (
    OPTIONS,
    datasets,
    load,
    models,
    property_file,
    protocols,
    recbole_property_file,
)
from llm4rec_recbole.yaml_files import read_yaml


def defaults_for(model: str, dataset: str, protocol: str | None) -> dict[str, Any]:
    """This project's default values for one run: option classes, then the property files.

    `protocol` is the one that the user chose, or None for the default. A file that does not exist
    adds nothing: any RecBole model and data set can run. EnhancedGenRec's variants share its file.
    A data set's `source` describes how its files were made, not how to run on them, and is left
    out. Raises InputError for the protocol `temporal` on a data set that has an order but no times.
    """
    from llm4rec_recbole.options import RunOptions, defaults_of

    values = defaults_of(RunOptions) | _read(folder() / "overall.yaml")
    protocol = protocol or values["protocol"]
    if model in OPTIONS:
        values |= defaults_of(load(OPTIONS, model))
    files = [
        property_file(model),
        folder() / "dataset" / f"{dataset}.yaml",
        folder() / "protocol" / f"{protocol}.yaml",
    ]
    recbole_file = recbole_property_file(model)
    if recbole_file.is_file() and recbole_file.stem != model:
        files.insert(0, recbole_file)  # RecBole itself does not find it
    elif protocol == "recbole" and recbole_file.is_file():
        del files[0]  # RecBole's own defaults; ours are for training on windows
    for file in files:
        values |= _read(file)
    source = values.pop("source", None) or {}
    if protocol == "temporal" and source.get("timestamps") == "sequence_index":
        message = f"{dataset} has no times, only each user's order: no cut in time can be made"
        raise InputError(message, hint="use --protocol=loo")
    return values | {"protocol": protocol}


def has_real_times(dataset: str) -> bool:
    """Return whether the times order the interactions of different users.

    They do not where the data set's property file says `timestamps: sequence_index`.
    """
    values = _read(folder() / "dataset" / f"{dataset}.yaml")
    return (values.get("source") or {}).get("timestamps") != "sequence_index"


def _read(path: Path) -> dict[str, Any]:
    return read_yaml(path).values if path.is_file() else {}


class Origin(NamedTuple):
    """Where a user gave an option: a line of a file, or the command line or the API."""

    file: str | None = None
    line: int | None = None


def merge_options(
    config_files: Sequence[str], options: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Origin]]:
    """All options of the user and where each was given; later sources override earlier ones.

    Raises InputError for a file that cannot be read.
    """
    from llm4rec_recbole.options import plain

    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    if isinstance(config_files, str):  # its characters would be read as file names
        hint = f"such as [{config_files!r}]"
        raise InputError(f"{config_files!r} is not a list of option files", hint=hint)
    if not isinstance(options, Mapping | None):
        raise InputError(f"the options are {shorten(options)}", hint="a dict, as in {'epochs': 1}")
    for file in config_files:
        if not isinstance(file, str | Path) or "\0" in str(file):
            raise InputError(f"{shorten(file)} is not the name of an option file")
        content = read_yaml(file)
        values |= content.values
        origins |= {name: Origin(str(file), line) for name, line in content.lines.items()}
    values |= plain(dict(options or {}))
    origins |= dict.fromkeys(options or {}, Origin())
    for name, value in values.items():
        if isinstance(value, str) and "\0" in value:
            hint = "nothing is named with a null character"
            origin = origins[name]._asdict()
            raise InputError(f"{name} is {shorten(value)}", **origin, hint=hint)
    return values, origins


def is_property_file(file: str | None) -> bool:
    """Whether `file` is one of this project's own property files, such as properties/scale/*.yaml.

    A value in them is for every model, also for one that does not read it.
    """
    return file is not None and Path(file).resolve().is_relative_to(folder().resolve())


# The refusal of every option that a run does not read.


def check_request(
    model: str | type,
    dataset: str,
    config_files: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> None:
    """Refuse a model, data set, protocol or option that does not exist or that the run ignores.

    Reads the option files and nothing else: no data, no RecBole. Raises InputError, with file and
    line where the option stands in a file, and with the nearest name that would be right.
    """
    if isinstance(model, str) and model not in models():
        message = f"there is no model {shorten(model)!r}{did_you_mean(model, models())}"
        raise InputError(message, hint="--model=file.py:Class names a class of your own")
    values, origins = merge_options(config_files, options)
    data_path = str(values.get("data_path", "dataset"))
    at_hand = datasets(data_path)
    if dataset not in at_hand and "data_path" not in values:
        hint = f"put its atomic files into {data_path}/{dataset}/"
        message = f"there is no data set {shorten(dataset)!r}{did_you_mean(dataset, at_hand)}"
        raise InputError(message, hint=hint)
    protocol = values.get("protocol", "loo")
    if protocol not in protocols():
        suggestion = did_you_mean(str(protocol), protocols())
        message = f"there is no protocol {shorten(protocol)!r}{suggestion}"
        raise InputError(
            message, hint=f"one of {', '.join(protocols())}", **origins["protocol"]._asdict()
        )
    for name, refusal, advice in unread_options(model, protocol, values, origins):
        raise InputError(refusal, hint=advice, **origins[name]._asdict())


def check_protocol(model: str | type, protocol: str, values: Mapping[str, Any]) -> None:
    """Refuse options in `values` that `protocol` or its loaders ignore.

    RecBole's Config calls this for whoever makes one. Other names pass, because a script may keep
    options of its own in a Config. Raises InputError.
    """
    ignored = option_readers.not_read_by(model, protocol)
    loader_options = {*option_readers.FIXED_BY_WINDOWS, *option_readers.FIXED_BY_LOSSES}
    fixed = option_readers.fixed_options(model, protocol).keys() & loader_options
    doubtful = {
        name: value
        for name, value in values.items()
        if name in ignored or name in option_readers.PICKLES or name in fixed
    }
    origins = dict.fromkeys(doubtful, Origin())
    for _, refusal, advice in unread_options(model, protocol, doubtful, origins):
        raise InputError(refusal, hint=advice)


def unread_options(
    model: str | type,
    protocol: str,
    values: Mapping[str, Any],
    origins: Mapping[str, Origin],
) -> Iterator[tuple[str, str, str | None]]:
    """Each of the user's options that the run does not obey: its name, the refusal, a hint.

    Options in this project's property files (properties/scale/smoke.yaml) are for all models and
    are passed over.
    """
    read = option_readers.read_options(model, protocol)
    fixed = option_readers.fixed_options(model, protocol)
    replacements = option_readers.not_read_by(model, protocol)
    model_name = model if isinstance(model, str) else model.__name__
    if values.get("transform") is not None:
        read |= option_readers.READ_BY_TRANSFORMS
    for name, value in values.items():
        if is_property_file(origins.get(name, Origin()).file):
            continue
        if name == "config_files":
            yield name, "config_files is an argument, and not an option", "name all files there"
        elif name in option_readers.PICKLES:
            if value != option_readers.PICKLES[name]:
                hint = "data are read from the atomic files"
                yield name, f"{name} is about a pickle, which is never written or loaded", hint
        elif name in fixed:
            if value != fixed[name] and not _is_none(value, fixed[name]):
                refusal = f"{model_name} does not read {name} under protocol {protocol}"
                yield name, refusal, f"it is always {shorten(fixed[name])}"
        elif name in read:
            continue
        elif name in replacements and (name != "nproc" or value != 1):
            yield name, f"protocol {protocol} does not read {name}", replacements[name]
        elif name in option_readers.DISTRIBUTED:
            if origins.get(name, Origin()).file is not None:
                yield name, f"{name} is an argument of recbole.quick_start.run", None
        elif name in _all_options():
            own_names = sorted(option_readers.own_options(model))
            listed = f"; it reads {', '.join(own_names[:12])}" if own_names else ""
            hint = f"run_recbole --model={model_name} --help lists all"
            yield name, f"{model_name} does not read {name}{listed}", hint
        else:
            yield name, f"there is no option --{name}{did_you_mean(name, read)}", None


def _is_none(value: Any, fixed: Any) -> bool:
    """Whether `value` is one of the spellings that RecBole reads as no negatives."""
    if isinstance(value, dict):
        value = value.get("distribution", value)
    return fixed is None and value in (None, "None", "none")


@cache
def _all_options() -> frozenset[str]:
    """Every option that some model reads under some protocol."""
    names = set(option_readers.options_of_every_run()) | set(option_readers.RECBOLE_EVALUATION)
    for model in models():
        names |= option_readers.options_of_model(model)
    return frozenset(names)
