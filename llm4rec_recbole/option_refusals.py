"""The refusal of every option that a run does not read (option_readers.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from llm4rec_recbole.config import Origin, is_property_file, merge_options
from llm4rec_recbole.errors import InputError, did_you_mean, shorten
from llm4rec_recbole.option_readers import (
    DISTRIBUTED,
    FIXED_BY_LOSSES,
    FIXED_BY_WINDOWS,
    PICKLES,
    READ_BY_TRANSFORMS,
    RECBOLE_EVALUATION,
    fixed_options,
    not_read_by,
    options_of_every_run,
    options_of_model,
    own_options,
    read_options,
)
from llm4rec_recbole.registry import datasets, models, protocols


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
            message, hint=f"one of {', '.join(protocols())}", **_at(origins["protocol"])
        )
    for name, refusal, advice in unread_options(model, protocol, values, origins):
        raise InputError(refusal, hint=advice, **_at(origins[name]))


def check_protocol(model: str | type, protocol: str, values: Mapping[str, Any]) -> None:
    """Refuse those of `values` that `protocol` or its loaders ignore.

    RecBole's Config calls this for whoever makes one. Other names pass, because a script may keep
    options of its own in a Config. Raises InputError.
    """
    ignored = not_read_by(model, protocol)
    fixed = fixed_options(model, protocol).keys() & {*FIXED_BY_WINDOWS, *FIXED_BY_LOSSES}
    doubtful = {
        name: value
        for name, value in values.items()
        if name in ignored or name in PICKLES or name in fixed
    }
    origins = dict.fromkeys(doubtful, Origin())
    for _, refusal, advice in unread_options(model, protocol, doubtful, origins):
        raise InputError(refusal, hint=advice)


def unread_options(
    model: str | type,
    protocol: str,
    values: Mapping[str, Any],
    origins: Mapping[str, Origin],
    unknown: bool = True,
) -> Iterator[tuple[str, str, str | None]]:
    """Each of the user's options that the run does not obey: its name, the refusal, a hint.

    Options in this project's property files (properties/scale/smoke.yaml) are for all models and
    are passed over. Without `unknown`, so are names that no model of RecBole or of ours has.
    """
    read, fixed = read_options(model, protocol), fixed_options(model, protocol)
    replacements = not_read_by(model, protocol)
    model_name = model if isinstance(model, str) else model.__name__
    if values.get("transform") is not None:
        read |= READ_BY_TRANSFORMS
    for name, value in values.items():
        if is_property_file(origins.get(name, Origin()).file):
            continue
        if name in PICKLES:
            if value != PICKLES[name]:
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
        elif name in DISTRIBUTED:
            if origins.get(name, Origin()).file is not None:
                yield name, f"{name} is an argument of recbole.quick_start.run", None
        elif name in _all_options():
            own = sorted(own_options(model))
            listed = f"; it reads {', '.join(own[:12])}" if own else ""
            hint = f"run_recbole --model={model_name} --help lists all"
            yield name, f"{model_name} does not read {name}{listed}", hint
        elif unknown:
            yield name, f"there is no option --{name}{did_you_mean(name, read)}", None


def _is_none(value: Any, fixed: Any) -> bool:
    """Whether `value` says "no negatives" or "none" in one of RecBole's ways."""
    if isinstance(value, dict):
        value = value.get("distribution", value)
    return fixed is None and value in (None, "None", "none")


def _at(origin: Origin) -> dict[str, Any]:
    return {"file": origin.file, "line": origin.line}


@cache
def _all_options() -> frozenset[str]:
    """Every option that some model reads under some protocol."""
    names = set(options_of_every_run()) | set(RECBOLE_EVALUATION)
    for model in models():
        names |= options_of_model(model)
    return frozenset(names)
