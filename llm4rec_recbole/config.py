"""Where the options of a run come from, and which values precede which.

RecBole's files  <  this project's option classes  <  properties/{overall, model/…, dataset/…,
protocol/…}.yaml  <  --config_files, later ones win  <  the command line or RecBole's API
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import properties_folder as folder
from llm4rec_recbole.registry import OPTIONS, load, property_file, recbole_property_file
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
    of_recbole = recbole_property_file(model)
    if of_recbole.is_file() and of_recbole.stem != model:
        files.insert(0, of_recbole)  # RecBole itself does not find it
    elif protocol == "recbole" and of_recbole.is_file():
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
    """All options of the user, those of later sources winning, and where each was given.

    Raises InputError for a file that cannot be read.
    """
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    if isinstance(config_files, str):  # its characters would be read as file names
        hint = f"such as [{config_files!r}]"
        raise InputError(f"{config_files!r} is not a list of option files", hint=hint)
    for file in config_files:
        content = read_yaml(file)
        values |= content.values
        origins |= {name: Origin(str(file), line) for name, line in content.lines.items()}
    values |= options or {}
    origins |= dict.fromkeys(options or {}, Origin())
    return values, origins


def is_property_file(file: str | None) -> bool:
    """Whether `file` is one of this project's own property files, such as properties/scale/*.yaml.

    A value in them is for every model, also for one that does not read it.
    """
    return file is not None and Path(file).resolve().is_relative_to(folder().resolve())
