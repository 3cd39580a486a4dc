"""What is refused before a run begins, each in one line: options, data, RecBole's own refusals."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llm4rec_recbole.data.splits import OWN_PROTOCOLS
from llm4rec_recbole.errors import InputError, number_in, whole_number
from llm4rec_recbole.evaluation.metrics import ACCURACY

#: Options of every run that are whole numbers, and the least that each may be.
_WHOLE = {
    "seed": 0,
    "num_threads": 0,
    "epochs": 0,
    "eval_step": 0,
    "stopping_step": 0,
    "train_batch_size": 1,
    "eval_batch_size": 1,
    "eval_batch_users": 1,
    "MAX_ITEM_LIST_LENGTH": 1,
}
#: Options of every run that are numbers, and the interval of each.
_INTERVALS = {
    "seed": "[0, 4294967295]",  # NumPy takes no larger one
    "learning_rate": "[0, inf)",
    "weight_decay": "[0, inf)",
    "warmup": "[0, 1]",
}


def check_data(config: Any) -> None:
    """Refuse a broken file by its line, before RecBole's pandas reads it as something else."""
    from llm4rec_recbole.data.atomic import check_atomic_files

    required = [config["USER_ID_FIELD"], config["ITEM_ID_FIELD"]]
    if config["protocol"] in OWN_PROTOCOLS or config["MODEL_TYPE"].name == "SEQUENTIAL":
        required.append(config["TIME_FIELD"])
    _check_columns(config["load_col"], required)
    check_atomic_files(Path(config["data_path"]), config["dataset"], tuple(required))


def _check_columns(load_col: Any, required: list[str]) -> None:
    """Refuse a choice of columns to read that lacks one of those `required`."""
    if load_col is None:
        return
    hint = f"such as {{inter: [{', '.join(required)}]}}; ~ reads all"
    lists = isinstance(load_col, dict) and all(
        isinstance(columns, list) or columns == "*" for columns in load_col.values()
    )
    if not lists:
        raise InputError(f"load_col is {load_col}, not a list of columns for each file", hint=hint)
    read = load_col.get("inter", [])
    for name in required:
        if read != "*" and name not in read:
            message = f"load_col reads {', '.join(read) or 'nothing'} of the interactions"
            raise InputError(f"{message}, but {name} is needed", hint=hint)


def check_options(config: Any) -> None:
    """Refuse a word where the property files have a number, a number out of its range, and a
    `method` that is no file name."""
    method = config["method"]
    if method is not None and not (isinstance(method, str) and re.fullmatch(r"\w[\w.+-]*", method)):
        raise InputError(f"method is {method}, not a name such as SASRec_long")
    for name, least in _WHOLE.items():
        if config[name] is not None:  # of a model that has no such option
            whole_number(name, config[name], least)
    for name, interval in _INTERVALS.items():
        if config[name] is not None:
            number_in(interval, name, config[name])
    if config["rm_dup_inter"] not in (None, "first", "last"):
        raise InputError(f"rm_dup_inter is {config['rm_dup_inter']}", hint="first, last or ~")
    _check_negatives(config["train_neg_sample_args"])
    for name, value in config.external_config_dict.items():
        default = config.internal_config_dict.get(name)
        if type(default) in (int, float) and isinstance(value, (str, list, dict)):
            raise InputError(f"{name} is {value}, not a number such as {default}")


def _check_negatives(drawn: dict[str, Any]) -> None:
    """Refuse nonsense about how negatives are drawn; RecBole checks the distribution's name."""
    if drawn["distribution"] == "none":
        return
    of = "train_neg_sample_args."
    whole_number(f"{of}sample_num", drawn["sample_num"], 1)
    whole_number(f"{of}candidate_num", drawn["candidate_num"], 0)
    number_in("(-inf, inf)", f"{of}alpha", drawn["alpha"])
    if not isinstance(drawn["dynamic"], bool):
        raise InputError(f"{of}dynamic is {drawn['dynamic']}", hint="true or false")


def check_metric(config: Any) -> None:
    """Refuse an early stopping by a metric that is not computed, before RecBole misses it."""
    wanted = config["valid_metric"]
    if config["protocol"] != "recbole":
        if wanted.lower() not in ACCURACY:
            raise InputError(f"valid_metric is {wanted}", hint=f"one of {', '.join(ACCURACY)}")
        return
    name, _, k = wanted.partition("@")
    if name.lower() not in map(str.lower, config["metrics"]):
        raise InputError(
            f"valid_metric is {wanted}, but metrics are {config['metrics']}",
            hint=f"add {name} to --metrics, or set --valid_metric to one of them",
        )
    if k and k not in map(str, config["topk"]):
        message = f"valid_metric is {wanted}, but topk is {config['topk']}"
        raise InputError(message, hint=f"add {k} to --topk, or set --valid_metric to one of them")


def check_labels(config: Any, dataset: Any) -> None:
    """Refuse data without labels for a model that learns from them, such as FM."""
    learns = config["MODEL_TYPE"].name == "CONTEXT"
    drawn = config["train_neg_sample_args"]["distribution"] != "none"
    if learns and not drawn and dataset.label_field not in dataset.inter_feat:
        message = f"{config['model']} learns from labels, and nothing makes them"
        raise InputError(message, hint="let load_col read ratings, and --threshold='{rating: 4}'")


@contextmanager
def refusals_of_recbole() -> Iterator[None]:
    """Tell what RecBole refuses by a `raise` of its own, or lacks a package for, in one line."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f"this model needs the package {error.name}") from error
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        its_own = "recbole" in Path(last.filename).parts
        if not its_own or not (last.line or "").startswith("raise "):
            raise
        raise InputError(" ".join(str(error).split())) from error
