"""Options as pydantic models: type, range, default and description of each, in one class a family.

Validation, `run_recbole --help` and docs/options.md are derived from these classes. YAML files hold
values only. This module has the machinery, the options of every run, and RecBole's general options.
A model's own options stand beside the model (models/<model>/options.py).
"""

from __future__ import annotations

import copy
import types
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from llm4rec_recbole.errors import InputError, did_you_mean, shorten
from llm4rec_recbole.yaml_files import parse_value


class Options(BaseModel):
    """Base of all option models. Values keep their type: "5" is not a number, 1 is not `true`."""

    model_config = ConfigDict(
        strict=True, extra="ignore", defer_build=True, allow_inf_nan=False, protected_namespaces=()
    )


Share = Annotated[float, Field(ge=0, le=1)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Size = Annotated[int, Field(ge=1, le=10**9)]
Filled = Annotated[str, Field(min_length=1)]
_NUMBER = r"\s*[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|inf)\s*"
Interval = Annotated[str, Field(pattern=rf"^(?:[\[(]{_NUMBER},{_NUMBER}[\])];?)+$")]


class RunOptions(Options):
    """Options that this project adds to every run."""

    protocol: str = Field("loo", description="How to split and rank; see the list of protocols.")
    num_threads: Count = Field(0, description="CPU threads; 0 lets PyTorch choose: all cores.")
    method: Annotated[str, Field(pattern=r"^\w[\w.+-]*$")] | None = Field(
        None, description="Name of the run in records and tables; ~ is the model's name."
    )
    results_dir: Filled = Field("work", description="Folder of the run records and users files.")
    quiet: bool = Field(False, description="Print nothing but the result.")
    resume: bool = Field(
        False, description="Continue the same run from its last checkpoint in checkpoint_dir."
    )
    energy_country: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = Field(
        "USA",
        description="ISO code of the country whose electricity mix turns the estimated energy into "
        "CO2e; ~ for no estimate.",
    )
    item_candidates: Literal["all", "interacted"] = Field(
        "all",
        description="Items that are ranked, sampled and in losses: all, or only those that some "
        "interaction has. Items of the .item file alone are the difference.",
    )
    eval_batch_users: Size = Field(
        256, description="Users that are scored together under the protocols loo and temporal."
    )


class NegativeSampling(Options):
    """The option `train_neg_sample_args`."""

    distribution: str | None = Field(description="Distribution of the negative items.")
    sample_num: Size = Field(description="Negatives for each positive.")
    alpha: Annotated[float, Field(ge=-10, le=10)] = Field(description="Power of the popularity.")
    dynamic: bool = Field(description="Choose the hardest of `candidate_num` negatives.")
    candidate_num: Count = Field(description="Candidates of dynamic sampling.")
    strata: Size = Field(description="Popularity strata of the distribution `strata`.")


class ValueIntervals(Options):
    """The option `val_interval`: an interval for a number, a list for a token."""

    intervals: dict[str, Interval | list[Any]] = Field(description="By column.")


class ClipGradNorm(Options):
    """The option `clip_grad_norm`."""

    max_norm: Positive = Field(description="Largest norm of all gradients together.")
    norm_type: Positive = Field(description="Which norm: 2 is the Euclidean.")


class EvalArgs(Options):
    """The option `eval_args` of the protocol recbole."""

    split: dict[str, Any] = Field(description="RS, TS or LS: see RecBole.")
    group_by: Literal["user", "none", "None"] | None = Field(description="Split within groups.")
    order: Literal["RO", "TO"] = Field(description="Random order or time order.")
    mode: str | dict[str, str] = Field(description="full, uniN, popN or labeled.")


class RecBoleOptions(Options):
    """RecBole's options of every run. RecBole's files and properties/ hold the defaults."""

    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = Field(
        description="Seed of every random choice except the sampled evaluation negatives."
    )
    reproducibility: bool = Field(description="Use deterministic kernels.")
    use_gpu: bool = Field(description="Use a GPU where there is one.")
    gpu_id: Annotated[int, Field(ge=-1)] | Annotated[str, Field(pattern=r"^(\d+(,\d+)*|-1)?$")] = (
        Field(description="Number of the GPU.")
    )
    worker: Annotated[int, Field(ge=0, le=256)] = Field(description="Processes that load data.")
    state: Literal["INFO", "DEBUG", "ERROR", "WARNING", "WARN", "CRITICAL"] = Field(
        description="Level of the log."
    )
    data_path: Filled = Field(description="Folder of the data sets' folders.")
    checkpoint_dir: Filled = Field(description="Folder of the checkpoints.")
    show_progress: bool = Field(description="Show progress bars.")
    save_dataset: bool = Field(description="Save the filtered data set.")
    dataset_save_path: Filled | None = Field(description="File of the saved data set.")
    save_dataloaders: bool = Field(description="Save the split data.")
    dataloaders_save_path: Filled | None = Field(description="File of the saved split data.")
    log_wandb: bool = Field(description="Log to Weights & Biases.")
    wandb_project: str = Field(description="Project in Weights & Biases.")
    shuffle: bool = Field(description="Shuffle the training data in each epoch.")
    epochs: Count | None = Field(
        description="Largest number of epochs; early stopping may end it. ~ is for EnhancedGenRec: "
        "6 to 24, so that an item is a target about 350 times on average."
    )
    train_batch_size: Size = Field(description="Training rows in a batch.")
    learner: Literal["adam", "sgd", "adagrad", "rmsprop", "sparse_adam", "adamw"] = Field(
        description="Optimizer."
    )
    learning_rate: Weight = Field(description="Learning rate of the optimizer.")
    weight_decay: Weight = Field(description="L2 penalty; decoupled with adamw.")
    train_neg_sample_args: dict[str, Any] | None = Field(description="How negatives are drawn.")
    eval_step: Count | None = Field(
        description="Epochs between two validations; ~ is a sixth of `epochs`."
    )
    stopping_step: Count = Field(description="Validations without progress before it stops.")
    clip_grad_norm: dict[str, float] | None = Field(description="As {max_norm: 1}.")
    loss_decimal_place: Count = Field(description="Decimal places of the printed loss.")
    require_pow: bool = Field(description="Square the embeddings in the embedding loss.")
    enable_amp: bool = Field(description="Train in mixed precision.")
    enable_scaler: bool = Field(description="Scale gradients in mixed precision.")
    transform: (
        Literal[
            "mask_itemseq", "inverse_itemseq", "crop_itemseq", "reorder_itemseq", "user_defined"
        ]
        | None
    ) = Field(description="Transformation of each batch.")
    eval_args: dict[str, Any] = Field(description="How to split and rank.")
    repeatable: bool = Field(description="Whether seen items may be recommended.")
    metrics: str | Annotated[list[str], Field(min_length=1)] = Field(
        description="Metrics of the test."
    )
    topk: Size | Annotated[list[Size], Field(min_length=1)] = Field(
        description="Cut-offs of the metrics."
    )
    valid_metric: str = Field(description="Metric of early stopping.")
    valid_metric_bigger: bool = Field(description="RecBole sets it by the metric.")
    eval_batch_size: Size = Field(description="Rows in an evaluation batch.")
    metric_decimal_place: Count = Field(description="Decimal places of the metrics.")
    tail_ratio: Positive | None = Field(description="Share of the items that are the tail.")
    MAX_ITEM_LIST_LENGTH: Size = Field(description="Items of a history that are read.")
    field_separator: Filled = Field(description="Separator of columns in atomic files.")
    seq_separator: Filled = Field(description="Separator inside a sequence.")
    encoding: str | None = Field(description="Encoding of the atomic files.")
    USER_ID_FIELD: Filled = Field(description="Column of the users.")
    ITEM_ID_FIELD: Filled = Field(description="Column of the items.")
    RATING_FIELD: Filled = Field(description="Column of the ratings.")
    TIME_FIELD: Filled = Field(description="Column of the times.")
    LABEL_FIELD: Filled = Field(description="Column of the labels that `threshold` makes.")
    seq_len: dict[str, Size] | None = Field(description="Longest sequence of a column.")
    threshold: dict[str, float] | None = Field(description="As {rating: 4}: makes labels.")
    NEG_PREFIX: Filled = Field(description="Prefix of the columns of negatives.")
    numerical_features: list[str] = Field(description="Numeric columns that are embedded.")
    load_col: dict[str, list[str] | str] | None = Field(
        description="Columns to read from each file; ~ is all."
    )
    unload_col: dict[str, list[str]] | None = Field(description="Columns not to read.")
    unused_col: dict[str, list[str]] | None = Field(
        description="Columns that are read for the split but hidden from the model."
    )
    additional_feat_suffix: list[str] | str | None = Field(description="Further files.")
    rm_dup_inter: Literal["first", "last"] | None = Field(
        description="Which of repeated interactions is used; ~ is all."
    )
    val_interval: dict[str, str | list[Any]] | None = Field(description="As {rating: '[4,inf)'}.")
    filter_inter_by_user_or_item: bool = Field(description="Drop rows of unknown users.")
    user_inter_num_interval: Interval | None = Field(description="Interactions of a user.")
    item_inter_num_interval: Interval | None = Field(description="Interactions of an item.")
    alias_of_user_id: list[str] | None = Field(description="Columns that hold users too.")
    alias_of_item_id: list[str] | None = Field(description="Columns that hold items too.")
    alias_of_entity_id: list[str] | None = Field(description="Columns of entities.")
    alias_of_relation_id: list[str] | None = Field(description="Columns of relations.")
    preload_weight: dict[str, str] | None = Field(description="As {item_id: vectors}.")
    normalize_field: list[str] | None = Field(description="Columns scaled to [0, 1].")
    normalize_all: bool | None = Field(description="Scale all numeric columns to [0, 1].")
    discretization: dict[str, Any] | None = Field(description="See RecBole.")
    ITEM_LIST_LENGTH_FIELD: Filled = Field(description="Column of history lengths.")
    LIST_SUFFIX: Filled = Field(description="Suffix of the columns of histories.")
    POSITION_FIELD: Filled = Field(description="Column of positions.")
    HEAD_ENTITY_ID_FIELD: Filled = Field(description="Column of a triple's head.")
    TAIL_ENTITY_ID_FIELD: Filled = Field(description="Column of a triple's tail.")
    RELATION_ID_FIELD: Filled = Field(description="Column of a triple's relation.")
    ENTITY_ID_FIELD: Filled = Field(description="Column of the entities.")
    kg_reverse_r: bool = Field(description="Add each relation's inverse.")
    entity_kg_num_interval: Interval = Field(description="Triples of an entity.")
    relation_kg_num_interval: Interval = Field(description="Triples of a relation.")
    benchmark_filename: list[str] | None = Field(description="Parts as [train, valid, test].")


def defaults_of(options: type[Options]) -> dict[str, Any]:
    """Every option of `options` that has a default, with it."""
    return {
        name: copy.deepcopy(field.default)
        for name, field in options.model_fields.items()
        if not field.is_required()
    }


def check_values(
    options: type[Options], values: Mapping[str, Any], prefix: str = "", closed: bool = False
) -> None:
    """Raise InputError for the first of `values` that `options` does not allow.

    `prefix` precedes the option's name in the message. With `closed`, a name that `options` does
    not have is refused too; otherwise such names are ignored.
    """
    if closed:
        for name in values:
            if name not in options.model_fields:
                suggestion = did_you_mean(str(name), options.model_fields)
                message = f"there is no option {prefix}{shorten(name)}{suggestion}"
                raise InputError(message, hint=f"one of {', '.join(options.model_fields)}")
    given = {
        str(name): plain(value) for name, value in values.items() if name in options.model_fields
    }
    try:
        options.__pydantic_validator__  # noqa: B018 builds a deferred model
        options.model_validate(given)
    except RecursionError:
        raise InputError(f"{prefix or 'an option'} is nested too deeply") from None
    except ValidationError as error:  # of a name that is not given too: it has no default
        for name in (str(problem["loc"][0]) for problem in error.errors()):
            if name in given:
                hint = kind_in_words(options.model_fields[name])
                value = values[name]
                is_text = isinstance(value, str)
                is_text = is_text and (not value or not isinstance(parse_value(value), str))
                value_text = repr(value) if is_text else shorten(value)  # "5" is no number
                raise InputError(f"{prefix}{name} is {value_text}", hint=hint) from None


def plain(value: Any) -> Any:
    """`value` with NumPy's numbers and arrays as Python's, tuples as lists, and paths as text."""
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, PurePath):
        return str(value)
    return value.tolist() if type(value).__module__ == "numpy" else value


def kind_in_words(field: FieldInfo) -> str:
    """What an option may be: "a whole number, 1 or more", "a number in [0, 1)", "one of a, b"."""
    return _in_words(field.annotation, list(field.metadata))


def _in_words(annotation: Any, metadata: list[Any]) -> str:
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        fields = [m for m in more if isinstance(m, FieldInfo)]
        return _in_words(inner, [*metadata, *(x for f in fields for x in f.metadata)])
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [a for a in get_args(annotation) if a is not type(None)]
        words = " or ".join(_in_words(kind, metadata) for kind in kinds)
        return words if len(kinds) == len(get_args(annotation)) else f"{words}, or ~"
    if get_origin(annotation) is Literal:
        return f"one of {', '.join(map(str, get_args(annotation)))}"
    if annotation is Any:
        return "any value"
    if annotation is bool:
        return "true or false"
    if annotation in (int, float):
        return _range_in_words(annotation, metadata)
    if annotation is str:
        patterns = [str(limit.pattern) for limit in metadata if getattr(limit, "pattern", None)]
        if not patterns:
            return "text"
        examples = {
            "inf": "an interval such as [5,inf)",
            "{3}": "three letters such as USA",
            ",": "GPUs such as 0,1",
        }
        for part, example in examples.items():
            if part in patterns[0]:
                return example
        return "a name such as SASRec_long"
    if get_origin(annotation) is list or annotation is list:
        least = next((m.min_length for m in metadata if hasattr(m, "min_length")), 0)
        words = f"a list of {least} or more" if least else "a list"
        return words + "".join(f": each {_in_words(a, [])}" for a in get_args(annotation))
    if get_origin(annotation) is dict or annotation is dict:
        return "a mapping such as {name: value}"
    return getattr(annotation, "__doc__", None) or str(annotation)


def _range_in_words(number: type, metadata: list[Any]) -> str:
    limits = {
        end: getattr(limit, end)
        for limit in metadata
        for end in ("ge", "gt", "le", "lt")
        if getattr(limit, end, None) is not None
    }
    if number is int:
        if limits.get("le", 10**9) != 10**9:
            return f"a whole number, {limits.get('ge', 0)} to {limits['le']}"
        return f"a whole number, {limits['ge']} or more" if "ge" in limits else "a whole number"
    if not limits:
        return "a number"
    low = f"[{limits['ge']}" if "ge" in limits else f"({limits.get('gt', '-inf')}"
    high = f"{limits['le']}]" if "le" in limits else f"{limits.get('lt', 'inf')})"
    return f"a number in {low}, {high}"
