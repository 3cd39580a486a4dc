"""Checks of a run's options against each other, before data are read.

Refused is an option that the other options leave without effect, and a combination that RecBole
would accept and then fail on, or rank wrongly.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llm4rec_recbole.config import Origin, is_property_file
from llm4rec_recbole.data.splits import PROTOCOLS
from llm4rec_recbole.errors import InputError, missing_package, shorten
from llm4rec_recbole.evaluation.metrics import ACCURACY
from llm4rec_recbole.training.data_checks import learns_labels, reads
from llm4rec_recbole.training.options import READ_WITH


def check_settings(config: Any) -> None:
    """Check a Config of RecBole, whoever made it (recbole_plugin/protocols.py).

    Raises InputError. Reads no data.
    """
    check_model(config)
    check_metric(config)
    _check_column_names(config)
    _check_epochs(config)
    _check_transform(config)
    if config["protocol"] not in PROTOCOLS:
        _check_split(config)
    for name, refusal, hint in _without_effect(config):
        if name in config.external_config_dict:
            raise InputError(refusal, hint=hint)


def check_read_with(config: Any, origins: Mapping[str, Origin]) -> None:
    """Refuse a given option that the chosen loss, first item vectors or components do not read."""
    readers_off = getattr(config.model_class, "options_without_reader", None)
    for name, component in (readers_off(config) if readers_off else {}).items():
        if name in origins:
            file, line = origins[name]
            message = f"{name} is not read: the component {component} is off"
            hint = "leave it out, or see --components"
            raise InputError(message, hint=hint, file=file, line=line)
    for name, (decisive, readers) in READ_WITH.items():
        chosen = config[decisive]  # None for a model without this option
        if name in origins and chosen is not None and chosen not in readers:
            file, line = origins[name]
            message = f"{name} is not read with {decisive}: {chosen}"
            hint = f"--{decisive}={' or '.join(readers)}"
            raise InputError(message, hint=hint, file=file, line=line)


#: Option that names a file of weights, the option that decides whether it is read, and the values
#: with which it is; None where it is always read.
_WEIGHTS: tuple[tuple[str, str | None, tuple[Any, ...]], ...] = (
    ("pre_model_path", "train_stage", ("critic_pretrain", "finetune")),
    ("pre_model_path", "train_method", ("after_pretrain",)),
    ("mf_pretrain_path", "use_pretrain", (True,)),
    ("mlp_pretrain_path", "use_pretrain", (True,)),
    ("pretrain_path", None, ()),
    ("warm_up", "phase", ("distillation", "finetuning")),
)


def check_stages(config: Any, origins: Mapping[str, Origin]) -> None:
    """For a model that trains in stages: refuse options that the stage does not read, and a stage
    whose file of weights is absent."""
    stage = config["train_stage"]
    if stage is not None:
        pretraining = stage.endswith("pretrain")
        ignored = ("epochs", "eval_step", "stopping_step", "valid_metric")
        for name in ignored if pretraining else ("pretrain_epochs", "save_step"):
            if name in origins and not is_property_file(origins[name].file):
                hint = "--pretrain_epochs is read" if pretraining else "--epochs is read"
                raise InputError(f"{name} is not read with train_stage: {stage}", hint=hint)
    for option, decisive, values in _WEIGHTS:
        if decisive is not None and config[decisive] is None:
            continue  # another model's
        read, path = decisive is None or config[decisive] in values, config[option]
        setting = f"{decisive}: {config[decisive]}"
        if not read and path:
            raise InputError(f"{option} is not read with {setting}", hint="leave it out")
        if read and not path and decisive is not None:
            hint = f"--{option} names a checkpoint, such as that of an earlier run"
            raise InputError(f"{setting} needs {option}", hint=hint)
        if path and not Path(path).is_file():
            raise InputError(f"there is no such file, which {option} names", file=path)


def _without_effect(config: Any) -> Iterator[tuple[str, str, str]]:
    """Each option that the others leave without effect: its name, the refusal, a hint."""
    if not config["log_wandb"]:
        yield "wandb_project", "wandb_project is not read without log_wandb", "--log_wandb=True"
    if config["enable_scaler"] and config["device"].type == "cpu":
        yield "enable_scaler", "enable_scaler scales nothing on a CPU", "leave it out"
    if config["learner"] == "sparse_adam" and config["weight_decay"]:
        yield "weight_decay", "sparse_adam does not read weight_decay", "choose another --learner"
    model = config.model_class
    if not reads(model, "get_preload_weight"):
        message = f"{config['model']} does not read preload_weight"
        yield "preload_weight", message, "its vectors would be loaded and not used"
    if config["MODEL_TYPE"].name not in ("CONTEXT", "DECISIONTREE") and not _reads_features(model):
        for name in ("numerical_features", "discretization"):
            yield name, f"{config['model']} reads no features, and so not {name}", "leave it out"
        if not learns_labels(config) and not _is_labeled(config):
            for name in ("normalize_field", "normalize_all"):
                if config[name]:
                    message = f"{config['model']} reads no values that {name} scales"
                    yield name, message, "leave it out"
    bigger = config["valid_metric_bigger"]
    if config.external_config_dict.get("valid_metric_bigger", bigger) != bigger:
        message = (
            f"{config['valid_metric']} is better when it is {'larger' if bigger else 'smaller'}"
        )
        yield "valid_metric_bigger", message, "leave valid_metric_bigger out"
    if lacking := no_validation(config):
        for name in ("valid_metric", "stopping_step", "eval_step"):
            if name != "eval_step" or config["eval_step"] != 0:
                yield name, f"{name} is not read: {lacking}", "the last epoch is tested"
    if config["protocol"] not in PROTOCOLS:
        metrics = [name.lower() for name in config["metrics"]]
        if "tailpercentage" not in metrics:
            yield "tail_ratio", "only TailPercentage reads tail_ratio", "add it to --metrics"
        if _are_values(config):
            yield "topk", f"topk is not read: {metrics[0]} has no cut-off", "leave it out"


def _is_labeled(config: Any) -> bool:
    """Whether the evaluation reads the labels of the held-out rows."""
    labeled = "labeled" in config["eval_args"]["mode"].values()
    return labeled and config["protocol"] not in PROTOCOLS


def _reads_features(model: type) -> bool:
    """Whether a model embeds columns of users and items. True for a class of the user's own."""
    ours = model.__module__.partition(".")[0] in ("recbole", "llm4rec_recbole")
    return not ours or any(
        reads(model, name) for name in ("FeatureSeq", "FeatureEmb", "ContextSeq")
    )


def no_validation(config: Any) -> str | None:
    """Why no epoch is validated; None where epochs are."""
    if config["eval_step"] == 0:
        return "eval_step is 0, so no epoch is validated"
    if config["protocol"] in PROTOCOLS or config["benchmark_filename"] is not None:
        return None
    ((kind, shares),) = config["eval_args"]["split"].items()
    if shares == "test_only" or (kind != "LS" and not shares[1]):
        return f"eval_args.split.{kind} is {shorten(shares)}, which leaves nothing to validate on"
    return None


def _are_values(config: Any) -> bool:
    """Whether the metrics are of labels, such as AUC, and not of ranks."""
    return bool(config["eval_type"].name == "VALUE")


#: Options that name a column each, by the type of model that reads the column.
_COLUMNS: dict[str | None, tuple[str, ...]] = {
    None: ("USER_ID_FIELD", "ITEM_ID_FIELD", "TIME_FIELD", "RATING_FIELD"),
    "SEQUENTIAL": ("ITEM_LIST_LENGTH_FIELD", "POSITION_FIELD"),
    "KNOWLEDGE": ("HEAD_ENTITY_ID_FIELD", "TAIL_ENTITY_ID_FIELD", "RELATION_ID_FIELD"),
}


def _check_column_names(config: Any) -> None:
    """Refuse two roles for one column: RecBole would write the one over the other. The labels may
    be the ratings, where these are 0 and 1."""
    roles: dict[str, str] = {}
    kind = config["MODEL_TYPE"].name
    for option in (*_COLUMNS[None], *_COLUMNS.get(kind, ()), "LABEL_FIELD"):
        name = config[option]
        other = roles.setdefault(name, option)
        if other != option and (other, option) != ("RATING_FIELD", "LABEL_FIELD"):
            raise InputError(f"{other} and {option} are both {shorten(name)}", hint="name two")


def _check_epochs(config: Any) -> None:
    """Refuse `epochs: ~` for a model that has no rule for them."""
    if config["epochs"] is None and not hasattr(config.model_class, "training_length"):
        hint = "give a number of epochs"
        raise InputError(f"{config['model']} does not choose its number of epochs", hint=hint)


#: Transformation of RecBole's → the rows that it makes, and the option that it needs.
_TRANSFORMS = {
    "mask_itemseq": ("MASK_ITEM_SEQ", "mask_ratio"),
    "crop_itemseq": ("CROP_ITEM_SEQ", "eta"),
    "inverse_itemseq": ("INVERSE_ITEM_SEQ", None),
    "reorder_itemseq": ("REORDER_ITEM_SEQ", "beta"),
}


def _check_transform(config: Any) -> None:
    """Refuse a transformation whose rows the model does not read, and one that lacks an option."""
    from recbole.data import transform

    model, chosen = config["model"], config["transform"]
    if chosen == "user_defined" and transform.UserDefinedTransform.__module__ == transform.__name__:
        hint = "assign a class of your own to recbole.data.transform.UserDefinedTransform"
        raise InputError("RecBole's transform user_defined is empty", hint=hint)
    if chosen not in _TRANSFORMS:
        return
    rows, option = _TRANSFORMS[chosen]
    if not reads(config.model_class, rows):
        hint = "leave transform out"
        raise InputError(f"transform {chosen} makes rows that {model} does not read", hint=hint)
    if option is not None and config[option] is None:
        raise InputError(f"transform {chosen} needs {option}", hint=f"such as --{option}=0.5")


def _check_split(config: Any) -> None:
    """Refuse a split, an order and a mode of RecBole's that do not go together."""
    evaluation = config["eval_args"]
    if "labeled" in evaluation["mode"].values() and not _are_values(config):
        message = f"eval_args.mode is labeled, but {config['metrics'][0]} ranks items"
        raise InputError(message, hint="metrics of labels are AUC, LogLoss, MAE and RMSE")
    if config["benchmark_filename"] is not None:
        return
    ((kind, _),) = evaluation["split"].items()
    if kind == "TS" and evaluation["order"] != "TO":
        raise InputError("eval_args.split.TS splits by time", hint="set eval_args.order to TO")
    if kind != "RS" and evaluation["group_by"] != "user":
        message = f"eval_args.group_by is {shorten(evaluation['group_by'])}"
        raise InputError(f"{message}, but {kind} splits the rows of each user", hint="leave it out")


def check_metric(config: Any) -> None:
    """Refuse an early stopping by a metric that is not computed, before RecBole misses it."""
    wanted = str(config["valid_metric"])
    if config["protocol"] != "recbole":
        if wanted.lower() not in ACCURACY:
            raise InputError(f"valid_metric is {wanted}", hint=f"one of {', '.join(ACCURACY)}")
        return
    from recbole.evaluator.register import metric_types

    name, _, k = wanted.partition("@")
    if name.lower() not in map(str.lower, config["metrics"]):
        raise InputError(
            f"valid_metric is {wanted}, but metrics are {config['metrics']}",
            hint=f"add {name} to --metrics, or set --valid_metric to one of them",
        )
    if k and k not in map(str, config["topk"]):
        message = f"valid_metric is {wanted}, but topk is {config['topk']}"
        raise InputError(message, hint=f"add {k} to --topk, or set --valid_metric to one of them")
    ranked = metric_types[name.lower()].name == "RANKING"
    if ranked != bool(k):
        hint = f"such as {name}@{config['topk'][0]}" if ranked else f"{name} has no cut-off"
        raise InputError(f"valid_metric is {wanted}", hint=hint)


#: Models of RecBole that rank by fields which only RecBole's own evaluation rows have.
_RECBOLE_ROWS = ("DIEN", "GRU4RecCPR", "SASRecCPR")


#: Packages that models of RecBole import while they train.
_PACKAGES = {"KGAT": "dgl", "KGIN": "torch_scatter", "MCCLK": "torch_scatter", "NCL": "faiss"}


def check_model(config: Any) -> None:
    """Refuse a model that lacks a package or cannot rank whole histories, before data are read."""
    if config["log_wandb"] and importlib.util.find_spec("wandb") is None:
        raise missing_package("wandb", "log_wandb")
    package = _PACKAGES.get(config["model"])
    if config["model"] == "LDiffRec" and config["n_cate"] > 1:
        package = "kmeans_pytorch"
    if package is not None and importlib.util.find_spec(package) is None:
        raise missing_package(package, config["model"])
    by_rows = config["model"] in _RECBOLE_ROWS or config["MODEL_TYPE"].name == "DECISIONTREE"
    if config["protocol"] in PROTOCOLS and by_rows:
        message = f"{config['model']} ranks rows of RecBole's evaluation only"
        raise InputError(message, hint="use --protocol=recbole")
