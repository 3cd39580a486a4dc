"""The checks of a run's options and data, before anything is trained.

`checked_config` is the one way from options to RecBole's Config: the command line and RecBole's API
(`run_recbole`, `load_data_and_model`) both pass it. Each refusal is one line.
"""

from __future__ import annotations

import os
import re
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llm4rec_recbole.config import check_request, merge_options
from llm4rec_recbole.data.atomic_format import check_encoding
from llm4rec_recbole.data.splits import PROTOCOLS
from llm4rec_recbole.errors import (
    InputError,
    absent_package,
    did_you_mean,
    missing_package,
    shorten,
)
from llm4rec_recbole.files import recbole_folder
from llm4rec_recbole.language_models import sources
from llm4rec_recbole.model_options import options_class
from llm4rec_recbole.option_readers import DISTRIBUTED
from llm4rec_recbole.options import (
    ClipGradNorm,
    EvalArgs,
    NegativeSampling,
    RecBoleOptions,
    RunOptions,
    ValueIntervals,
    check_values,
)
from llm4rec_recbole.registry import models, nulls, variant
from llm4rec_recbole.training.data_checks import check_data, check_negatives, check_threshold
from llm4rec_recbole.training.setting_checks import check_read_with, check_stages


def checked_config(
    model: str | type | None,
    dataset: str | None,
    config_files: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> Any:
    """RecBole's Config of a run, once every option and the headers of the data are checked.

    A later file overrides an earlier file, and `options` override all files. A `model` or
    `dataset` of None stands among the options. Raises InputError.
    """
    values, origins = merge_options(config_files, options)
    model = model if model is not None else values.get("model")
    dataset = dataset if dataset is not None else values.get("dataset", "ml-100k")
    if not isinstance(model, (str, type)):
        raise InputError("no model is named", hint="such as model='EnhancedGenRec'")
    check_request(model, str(dataset), config_files, options)
    for name in values:
        try:
            check_option_values(model, {name: values[name]})
        except InputError as error:
            file, line = origins[name]
            raise InputError(error.message, file=file, line=line, hint=error.hint) from None
    from recbole.config import Config  # it calls setting_checks.check_settings

    config = Config(model, str(dataset), None, values)
    check_read_with(config, origins)
    check_stages(config, origins)
    check_negatives(config)
    check_threshold(config)
    _name_method(config)
    _check_method(config)
    _check_null(config)
    _check_references(config)
    sources.check_names(*map(config.__getitem__, ("llm", "llm_layers", "text_encoder", "t5")))
    sources.check_installed(config["llm"])
    check_data(config)
    return config


def _name_method(config: Any) -> None:
    """Name the run by its components where they are not the model's own: its record says so."""
    name_of = getattr(config.model_class, "method_name", None)
    name = name_of(config) if name_of is not None and config["method"] is None else None
    if name is not None:
        config["method"] = config.external_config_dict["method"] = name


def _check_method(config: Any) -> None:
    """Refuse the name of another model for a run: its record would be taken for that model's."""
    name, model = str(config["method"]), config["model"]
    of_parts = name.startswith("EnhancedGenRec_") and not hasattr(config.model_class, "method_name")
    if (name in models() and name != model) or of_parts:
        hint = f"such as --method={model}_long"
        raise InputError(f"method is {name}, the name of another model than {model}", hint=hint)


def _check_references(config: Any) -> None:
    """Refuse weights that do not fit the references of a sum."""
    names, weights = config["references"], config["reference_weights"]
    if names and weights is not None and len(weights) != len(names):
        message = f"{len(weights)} reference_weights for {len(names)} references"
        raise InputError(message, hint="one weight for each reference")
    if names and weights is not None and not any(weights):
        raise InputError("all reference_weights are 0", hint="the sum would rank nothing")


def _check_null(config: Any) -> None:
    """Refuse a null's name for a run with other options: its record would be taken for the null."""
    name = config["method"]
    if name not in nulls():
        return
    model, options = variant(name)
    if config["model"] != model:
        raise InputError(f"{name} is a null of the model {model}", hint=f"--model={name}")
    for option, value in options.items():
        same = config[option] == value
        if isinstance(value, list):  # of components or references, in any order
            same = sorted(config[option] or ()) == sorted(value)
        if not same:
            message = f"{name} has {option} {value}, and this run has {config[option]}"
            raise InputError(message, hint=f"--model={name}, or another --method")


def check_option_values(model: str | type, values: Mapping[str, Any]) -> None:
    """Refuse a value of the wrong kind or out of its range, also inside dict options."""
    values = {name: value for name, value in values.items() if name not in DISTRIBUTED}
    check_values(RunOptions, values)
    check_values(RecBoleOptions, values)
    if isinstance(model, str) and model in models():
        check_values(options_class(model), values)
    negatives = values.get("train_neg_sample_args")
    if isinstance(negatives, dict) and negatives.get("distribution") not in ("none", "None"):
        check_values(NegativeSampling, negatives, "train_neg_sample_args.", closed=True)
    if isinstance(values.get("eval_args"), dict):
        _check_eval_args(values["eval_args"])
    if "metrics" in values:
        _check_metric_names(values["metrics"])
    if values.get("encoding") is not None:
        check_encoding(values["encoding"])
    if isinstance(values.get("val_interval"), dict):
        check_values(ValueIntervals, {"intervals": values["val_interval"]}, "val_interval: ")
    if isinstance(clip := values.get("clip_grad_norm"), dict):
        check_values(ClipGradNorm, clip, "clip_grad_norm.", closed=True)
        if "max_norm" not in clip:
            raise InputError("clip_grad_norm has no max_norm", hint="as {max_norm: 1}")


def _one_of(prefix: str, given: Any, names: Sequence[str]) -> None:
    for name in given:
        if name not in names:
            message = f"there is no {prefix}{shorten(name)}{did_you_mean(str(name), names)}"
            raise InputError(message, hint=f"one of {', '.join(names)}")


_SPLITS = {
    "RS": "three shares, the first and the last above 0, such as [0.8, 0.1, 0.1]",
    "TS": "three shares, the first and the last above 0, such as [0.8, 0.1, 0.1]",
    "LS": "valid_and_test or test_only; every run is tested",
}


def _check_eval_args(given: dict[str, Any]) -> None:
    """Refuse a split or a mode that RecBole does not have, and unknown keys of both."""
    check_values(EvalArgs, given, "eval_args.", closed=True)
    split = given.get("split")
    if isinstance(split, dict):
        _one_of("eval_args.split.", split, tuple(_SPLITS))
        if len(split) != 1:
            raise InputError(f"eval_args.split is {shorten(split)}", hint="one of RS, TS or LS")
        (kind, shares), *_ = split.items()
        if kind == "LS":
            right = shares in ("valid_and_test", "test_only")
        else:
            right = isinstance(shares, list) and len(shares) == 3
            right = right and all(type(share) in (int, float) and share >= 0 for share in shares)
            right = right and shares[0] > 0 and shares[2] > 0 and sum(shares) < float("inf")
        if not right:
            raise InputError(f"eval_args.split.{kind} is {shorten(shares)}", hint=_SPLITS[kind])
    mode = given.get("mode")
    if isinstance(mode, dict):
        _one_of("eval_args.mode.", mode, ("valid", "test"))
    for one in mode.values() if isinstance(mode, dict) else [] if mode is None else [mode]:
        if not re.fullmatch(r"full|labeled|(uni|pop)[1-9]\d{0,6}", str(one)):
            raise InputError(
                f"eval_args.mode is {shorten(one)}", hint="full, labeled, uni100 or pop100"
            )


def _check_metric_names(given: Any) -> None:
    from recbole.evaluator.register import metrics_dict

    names = {name.lower(): metric.__name__ for name, metric in metrics_dict.items()}
    for name in [given] if isinstance(given, str) else given:
        if str(name).lower() not in names:
            suggestion = did_you_mean(str(name), names.values())
            raise InputError(f"metrics: there is no metric {shorten(name)!r}{suggestion}")


def check_processes(config: Any) -> None:
    """Refuse a run of several processes that would train the same model several times."""
    launched = os.environ.get("WORLD_SIZE") or "1"  # by torchrun
    if launched != "1" and config["single_spec"]:
        message = f"WORLD_SIZE is {shorten(launched)}: each process would train the whole model"
        raise InputError(message, hint="start it without torchrun")
    several = not config["single_spec"] or (config["nproc"] or 1) > 1
    if several and config["protocol"] in PROTOCOLS:
        raise InputError(
            f"protocol {config['protocol']} trains in one process", hint="leave nproc out"
        )
    if config["single_spec"] and (config["nproc"] or 1) > 1:
        hint = "from Python: recbole.quick_start.run(model, dataset, nproc=…)"
        raise InputError("nproc is not an option of one run", hint=hint)


def check_folders(config: Any) -> None:
    """Make the folders that the run will write to, or refuse them, before training."""
    for name in ("results_dir", "checkpoint_dir"):
        folder = Path(config[name])
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            hint = f"choose another --{name}"
            raise InputError(f"cannot write there: {reason}", file=folder, hint=hint) from error


@contextmanager
def refusals_of_recbole() -> Iterator[None]:
    """Report in one line what RecBole refuses by a `raise` of its own, a package that it lacks, and
    an error inside one of its models."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (package := absent_package(error)) is None:
            raise
        raise missing_package(package, "this model") from error
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        last = frames[-1]
        its_own = "recbole" in Path(last.filename).parts
        refused = (last.line or "").startswith("raise ") or isinstance(error, AssertionError)
        if not (its_own and refused):
            if (frame := _frame_in_recboles_model(frames)) is None:
                raise
            where = f"{Path(frame.filename).name}:{frame.lineno}"
            message = f"RecBole's model fails at {where}: {type(error).__name__}: {error}"
            hint = "an option of the model does not fit the others or the data"
            raise InputError(" ".join(message[:300].split()), hint=hint) from error
        missing = isinstance(error, NotImplementedError) and not str(error)
        message = f"the model does not implement {last.name}" if missing else str(error)
        raise InputError(" ".join(message.split())) from error


def _frame_in_recboles_model(frames: list[traceback.FrameSummary]) -> Any:
    """The deepest of the frames in code of RecBole's models, if no later one is in other code of
    RecBole's or in this project's; else None. There a model computes what its options say."""
    ours = {"recbole", __package__.partition(".")[0]}
    inside = [frame for frame in frames if ours & set(Path(frame.filename).parts)]
    models = recbole_folder() / "model"
    if inside and Path(inside[-1].filename).is_relative_to(models):
        return inside[-1]
    return None


@contextmanager
def refusals_of_torch(config: Any) -> Iterator[None]:
    """Report in one line that the model cannot train with `enable_amp` or with `sparse_adam`."""
    try:
        yield
    except (RuntimeError, NotImplementedError) as error:
        text, model = " ".join(str(error).split()), config["model"]
        if config["enable_amp"] and re.search("BFloat16|Half|dtype", text):
            message = f"{model} cannot train in mixed precision: {text}"
            raise InputError(message, hint="--enable_amp=False") from error
        if config["learner"] == "sparse_adam" and "dense gradients" in text:
            message = f"sparse_adam needs sparse gradients, and {model} has none"
            raise InputError(message, hint="choose another --learner") from error
        raise
