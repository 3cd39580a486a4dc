"""Which options a run reads.

RecBole declares nothing, so what its classes read is found in their source: `config["name"]` in the
model's class, its base classes, its data set, its trainer and the parts that every run has. This
project's parts declare what they read: models by their option class (registry.OPTIONS), protocols
and loaders here.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from llm4rec_recbole.files import recbole_folder
from llm4rec_recbole.registry import (
    ENHANCED_GENREC,
    MODELS,
    OPTIONS,
    load,
    models,
    recbole_property_file,
)

_READ = re.compile(
    r"""config(?:_dict)?\[\s*["']([\w-]+)["']"""
    r"""|["'](\w+)["']\s+(?:not\s+)?in\s+(?:self\.)?config\b"""
    r"""|config\.([A-Za-z]\w*)\b(?!\()"""
)
_CLASS = re.compile(r"^class (\w+)(?:\(([^)]*)\))?:", re.MULTILINE)
_IMPORT_AS = re.compile(r"^from ([\w.]+) import (\w+) as (\w+)$", re.MULTILINE)

#: What RecBole sets itself, or reads under names that it has given up.
_INTERNAL = {
    *("MODEL_TYPE", "MODEL_INPUT_TYPE", "device", "eval_type", "single_spec", "verbose", "full"),
    *("configurator", "final_config_dict", "parameters", "yaml_loader", "external_config_dict"),
    *("internal_config_dict", "valid_neg_sample_args", "test_neg_sample_args", "eval_setting"),
    *("neg_sampling", "training_neg_sample_num", "MASK_INDEX", "MASK_ITEM_SEQ", "POS_ITEMS"),
    *("NEG_ITEMS", "INVERSE_ITEM_SEQ", "CROP_ITEM_SEQ", "CROP_ITEM_SEQ_LEN", "REORDER_ITEM_SEQ"),
}
#: How RecBole's `run(nproc=…)` describes its processes to each of them.
DISTRIBUTED = {"nproc", "world_size", "offset", "ip", "port", "local_rank"}
#: Read by RecBole under names that it puts together.
_COMPOSED = {f"alias_of_{name}_id" for name in ("user", "item", "entity", "relation")}
_FIELDS = {"USER_ID_FIELD", "ITEM_ID_FIELD", "RATING_FIELD", "TIME_FIELD", "LABEL_FIELD"}
_SEQUENTIAL = {"LIST_SUFFIX", "MAX_ITEM_LIST_LENGTH", "ITEM_LIST_LENGTH_FIELD", "POSITION_FIELD"}

#: Options in RecBole's files of these models that nothing reads; some are misspelt there.
_READ_BY_NOTHING: dict[str, dict[str, Any]] = {
    "DMF": {"embedding_size": 10},
    "LightGBM": {"token_num_threhold": 10000},
    "RepeatNet": {"loss_type": "CE"},
    "XGBoost": {"token_num_threhold": 10000, "lgb_early_stopping_rounds": None},
}
READ_BY_TRANSFORMS = {"beta", "eta", "mask_ratio", "ft_ratio"}

#: Options that a protocol does not read, and what to use instead.
RECBOLE_EVALUATION = {
    **dict.fromkeys(("eval_args", "metrics", "topk", "repeatable", "benchmark_filename",
                     "metric_decimal_place", "tail_ratio", "nproc"), "use --protocol=recbole"),
    "eval_batch_size": "use --eval_batch_users",
}  # fmt: skip
#: Options of RecBole that read or write a pickle → the value with which they do not.
PICKLES: dict[str, Any] = {
    **dict.fromkeys(("save_dataset", "save_dataloaders"), False),
    **dict.fromkeys(("dataset_save_path", "dataloaders_save_path"), None),
}
#: Options that have one value in some runs. That value is accepted, any other is refused.
FIXED_BY_WINDOWS: dict[str, Any] = {
    "shuffle": True,
    "worker": 0,
    "transform": None,
    "train_neg_sample_args": None,
    "loss_type": "CE",
    "NEG_PREFIX": "neg_",
}
#: The same for the models whose loss over the catalogue computes its own gradients.
FIXED_BY_LOSSES: dict[str, Any] = {"enable_amp": False, "enable_scaler": False}
_FIXED_BY_CLOSED_FORM: dict[str, Any] = {"epochs": 1, "train_neg_sample_args": None}
_NOT_READ_BY_CLOSED_FORM = {
    *("learner", "learning_rate", "weight_decay", "clip_grad_norm", "stopping_step"),
    *("enable_amp", "enable_scaler"),
}


def read_options(model: str | type, protocol: str) -> frozenset[str]:
    """Names of the options that a run of `model` under `protocol` reads.

    `model` is a name, or a class of the user's own, whose source is read.
    """
    names = options_of_every_run() | _of_model(model)
    if model_type(model) == "TRADITIONAL":
        names -= _NOT_READ_BY_CLOSED_FORM
    return names - set(not_read_by(model, protocol))


def not_read_by(model: str | type, protocol: str) -> dict[str, str]:
    """The options that a run of `model` under `protocol` does not read, and what to use instead."""
    if protocol != "recbole":
        return RECBOLE_EVALUATION
    replacements = {"eval_batch_users": "use --eval_batch_size"}
    if _batches(model) != "position":  # all others train on RecBole's rows
        replacements["batch_targets"] = "use --protocol=loo"
    return replacements


def _batches(model: str | type) -> str | None:
    """The model's class attribute `batches` (training/batches.py); None for RecBole's rows."""
    if not isinstance(model, str):
        return getattr(model, "batches", None)
    if model == "BERT4Rec":  # recbole_plugin/extensions.py
        return "cloze"
    declared = re.compile(r'^    batches = "(\w+)"', re.MULTILINE)
    matches = map(declared.search, _sources(model))
    return next((match[1] for match in matches if match), None)


def fixed_options(model: str | type, protocol: str) -> dict[str, Any]:
    """Options that have one value in a run of `model`, with it."""
    fixed = dict(_READ_BY_NOTHING.get(model, {})) if isinstance(model, str) else {}
    batches = _batches(model)
    if batches == "position" or (batches and protocol != "recbole"):
        fixed |= FIXED_BY_WINDOWS
    if batches:
        fixed |= FIXED_BY_LOSSES
    if model_type(model) == "KNOWLEDGE":
        fixed["shuffle"] = True
    if model_type(model) == "TRADITIONAL":
        fixed |= _FIXED_BY_CLOSED_FORM
    return fixed


def own_options(model: str | type) -> frozenset[str]:
    """Names of the options that `model` reads and not every run; its help lists them."""
    from llm4rec_recbole.options import RecBoleOptions

    typed = set(RecBoleOptions.model_fields) - {"require_pow"}
    return frozenset(_of_model(model) - options_of_every_run() - typed)


@cache
def options_of_every_run() -> frozenset[str]:
    from llm4rec_recbole.options import RunOptions

    recbole = recbole_folder()
    files = ["config/configurator.py", "data/utils.py", "data/dataset/dataset.py"]
    files += ["data/dataloader/abstract_dataloader.py", "data/dataloader/general_dataloader.py"]
    files += ["quick_start/quick_start.py", "utils/logger.py", "utils/utils.py"]
    files += ["utils/wandblogger.py", "evaluator/collector.py", "evaluator/evaluator.py"]
    files += ["evaluator/metrics.py", "evaluator/base_metric.py"]
    text = "\n".join((recbole / file).read_text(encoding="utf-8") for file in files)
    trainers = _classes(recbole / "trainer/trainer.py")
    text += trainers["AbstractTrainer"][1] + trainers["Trainer"][1]
    names = _names_in(text) | _FIELDS | _COMPOSED | set(RunOptions.model_fields)
    names |= {"NEG_PREFIX", "log_wandb", "wandb_project", "model", "dataset", "config_files"}
    return frozenset(names - _INTERNAL - DISTRIBUTED - {"reg_weight", "loss_type"})


def _of_model(model: str | type) -> frozenset[str]:
    if isinstance(model, str):
        return options_of_model(model)
    names: set[str] = set()
    for base in model.__mro__:
        if base is not object:
            names |= _names_in(source_of(base))
    return frozenset(names | _of_type(model_type(model))) - _INTERNAL - DISTRIBUTED


@cache
def source_of(model: type) -> str:
    """The source of a class without its base classes; "" for a class without a file."""
    import inspect

    try:
        return inspect.getsource(model)
    except (OSError, TypeError):
        return ""


@cache
def options_of_model(model: str) -> frozenset[str]:
    names = {*_names_in("\n".join(_sources(model))), *_of_type(model_type(model))}
    if model in OPTIONS:
        names |= set(load(OPTIONS, model).model_fields)
    if model in MODELS and model in OPTIONS:
        names |= _SEQUENTIAL if model_type(model) == "SEQUENTIAL" else set()
    recbole = recbole_folder()
    file = recbole_property_file(model)
    if file.is_file():  # some options are read through other names
        names |= set(re.findall(r"^([\w-]+):", file.read_text(encoding="utf-8"), re.MULTILINE))
    trainers = _classes(recbole / "trainer/trainer.py")
    name = f"{model}Trainer"
    while name in trainers and name != "Trainer":
        bases, text = trainers[name]
        names |= _names_in(text)
        name = bases
    sets = _classes(recbole / "data/dataset/customized_dataset.py")
    names |= _names_in(sets.get(f"{model}Dataset", ("", ""))[1])
    return frozenset(names) - _INTERNAL - DISTRIBUTED


def _of_type(kind: str) -> set[str]:
    """What the data sets, loaders and trainers of a type of model read."""
    recbole = recbole_folder()
    files = {
        "SEQUENTIAL": ["data/dataset/sequential_dataset.py", "data/transform.py"],
        "KNOWLEDGE": ["data/dataset/kg_dataset.py", "data/dataloader/knowledge_dataloader.py"],
        "DECISIONTREE": ["data/dataset/decisiontree_dataset.py"],
    }.get(kind, [])
    names = _names_in("\n".join((recbole / file).read_text(encoding="utf-8") for file in files))
    trainers = _classes(recbole / "trainer/trainer.py")
    if kind == "SEQUENTIAL":
        names |= _SEQUENTIAL | {"transform"}
        names -= READ_BY_TRANSFORMS  # by those who choose one
    if kind == "KNOWLEDGE":
        names |= _names_in(trainers["KGTrainer"][1])
    if kind == "DECISIONTREE":
        names |= _names_in(trainers["DecisionTreeTrainer"][1])
    return names


def model_type(model: str | type) -> str:
    """RecBole's name of the model's type: GENERAL, SEQUENTIAL, TRADITIONAL, …"""
    if not isinstance(model, str):
        return str(getattr(getattr(model, "type", None), "name", "GENERAL"))
    for source in _sources(model):
        match = re.search(r"^    type = ModelType\.(\w+)", source, re.MULTILINE)
        if match:
            return match[1]
    folder = models()[model].parent.name if model in models() else ""
    return {
        "sequential_recommender": "SEQUENTIAL",
        "context_aware_recommender": "CONTEXT",
        "knowledge_aware_recommender": "KNOWLEDGE",
        "exlib_recommender": "DECISIONTREE",
    }.get(folder, "GENERAL")


@cache
def _sources(model: str) -> tuple[str, ...]:
    """The source of the model's class and of its base classes, the class's own first."""
    if model not in models():
        return ()
    sources: list[str] = []
    abstract = recbole_folder() / "model/abstract_recommender.py"
    name = MODELS.get(model, "").partition(":")[2] or model
    if model in ENHANCED_GENREC:  # its variants are made from a table, not written as classes
        name = ENHANCED_GENREC[0]
    todo, visited = [(name, models()[model])], set()
    while todo:
        name, file = todo.pop(0)
        if (name, file) in visited or not file.is_file():
            continue
        visited.add((name, file))
        classes = _classes(file)
        if name not in classes:
            continue
        bases, text = classes[name]
        sources.append(text)
        whole = file.read_text(encoding="utf-8")
        renamed = {new: (module, old) for module, old, new in _IMPORT_AS.findall(whole)}
        for base in re.findall(r"\w+", bases):
            if base in classes:
                todo.append((base, file))
            elif base in renamed:
                module, old = renamed[base]
                file_of = (recbole_folder().parent / module.replace(".", "/")).with_suffix(".py")
                todo.append((old, file_of))
            elif base in _classes(abstract):
                todo.append((base, abstract))
            elif base in models():
                todo.append((base, models()[base]))
        if file.parent.name.endswith("_recommender"):  # helpers beside a model's class
            sources.append(whole)
    return tuple(sources)


@cache
def _classes(file: Path) -> dict[str, tuple[str, str]]:
    """Each class of a source file: its bases, and its text."""
    text = file.read_text(encoding="utf-8")
    matches = list(_CLASS.finditer(text))
    ends = [match.start() for match in matches[1:]] + [len(text)]
    return {
        match[1]: (match[2] or "", text[match.start() : end]) for match, end in zip(matches, ends)
    }


def _names_in(text: str) -> set[str]:
    return {next(name for name in match if name) for match in _READ.findall(text)}
