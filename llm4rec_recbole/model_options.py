"""The option class of any model: this project's from the registry, RecBole's from its YAML files.

RecBole's files describe each option in a comment:

    n_layers: 2        # (int) The number of layers.
    loss_type: 'CE'    # (str) The type of loss function. Range in ['BPR', 'CE'].
"""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, create_model

from llm4rec_recbole.files import recbole_folder
from llm4rec_recbole.option_readers import own_options
from llm4rec_recbole.options import Options, RecBoleOptions, Size, Weight
from llm4rec_recbole.registry import OPTIONS, load, recbole_property_file
from llm4rec_recbole.yaml_files import parse_value, read_yaml

_LINE = re.compile(r"^([\w-]+):[ \t]*(.*?)[ \t]*#[ \t]*\((.*?)\)[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_CHOICES = re.compile(r"[Rr]ange in \[(.*?)\]")
_KINDS: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "dict": dict[str, Any],
    "list": list[Any],
    "list of int": list[int],
    "list of float": list[float],
    "list of str": list[str],
}
_AT_LEAST_ONE = re.compile(r"size|dim|heads|hidden|rank|num_|n_hop|step$|^k$|kernel|width|length")
_SHARE = re.compile(r"drop|prob|_ratio$")
_Sizes = Annotated[list[Size], Field(min_length=1)]
_Weights = Annotated[list[Weight], Field(min_length=1)]
#: Options whose choices RecBole's files do not list.
_CHOICES_OF = {"hidden_act": Literal["gelu", "relu", "swish", "tanh", "sigmoid"]}
#: Options that RecBole's files describe outside of the line that sets them.
_KINDS_OF = {"SLIMElastic": {"alpha": "float", "l1_ratio": "float"}}
_AT_MOST_ONE = {"l1_ratio"}


@cache
def options_class(model: str) -> type[Options]:
    """Type, range, default and description of each option that `model` reads and others do not."""
    ours = load(OPTIONS, model) if model in OPTIONS else None
    fields: dict[str, Any] = {}
    for name, kind, default, description in _described(model):
        if ours is None or name not in ours.model_fields:
            fields[name] = _field(name, kind, default, description)
    named = set(fields) | set(ours.model_fields if ours else ())
    for name in sorted(own_options(model) - named):
        if name in RecBoleOptions.model_fields:
            general = RecBoleOptions.model_fields[name]
            default = read_yaml(recbole_folder() / "properties/overall.yaml").values[name]
            fields[name] = (general.annotation, Field(default, description=general.description))
            continue
        fields[name] = (
            Any,
            Field(None, description="Read by RecBole, which does not describe it."),
        )
    options: type[Options] = create_model(f"{model}Options", __base__=ours or Options, **fields)
    return options


def _described(model: str) -> list[tuple[str, str, Any, str]]:
    """(name, kind, default, description) of the options that RecBole's file of `model` lists."""
    file = recbole_property_file("EASE" if model in ("RecencyEASE", "SLIST") else model)
    if not file.is_file() or model in ("GenRec", "P5"):
        return []
    text = file.read_text(encoding="utf-8")
    read_options = own_options(model)
    described = [
        (name, kind.strip(), parse_value(default), description.rstrip("."))
        for name, default, kind, description in _LINE.findall(text)
        if name in read_options
    ]
    defaults = read_yaml(file).values
    for name, kind in _KINDS_OF.get(model, {}).items():
        described.append((name, kind, defaults[name], "Read by RecBole"))
    return described


def _field(name: str, kind: str, default: Any, description: str) -> tuple[Any, Any]:
    """The annotation of one option; one that its own default contradicts is left open."""
    optional = "none" in kind.lower()
    kind = re.sub(r" ?(or|,) ?none|none ?(or|,) ?", "", kind, flags=re.IGNORECASE).strip()
    annotation: Any = _KINDS.get(kind, Any)
    # RecBole says "int" of some numbers that are not whole.
    if annotation is int and re.search(r"weight|scale|bound", description):
        annotation = float
    choices = _CHOICES.search(description)
    if annotation is str and choices:
        words = re.findall(r"\w+", choices[1])
        annotation = Literal[tuple(dict.fromkeys([*words, *([default] if default else [])]))]
    elif annotation is int and isinstance(default, int) and default >= 0:
        least = 1 if default >= 1 and _AT_LEAST_ONE.search(name) else 0
        annotation = Annotated[int, Field(ge=least, le=10**9)]
    elif annotation is float and isinstance(default, int | float) and default >= 0:
        share = default <= 1 and (_SHARE.search(name) or name in _AT_MOST_ONE)
        annotation = Annotated[float, Field(ge=0, le=1 if share else None)]
    elif annotation == list[int] and default and min(default) >= 1:
        annotation = _Sizes
    elif annotation == list[float] and default and min(default) >= 0:
        annotation = _Weights
    elif annotation == list[str] and default:
        annotation = Annotated[list[str], Field(min_length=1)]
    annotation = _CHOICES_OF.get(name, annotation)
    if optional or default is None:
        annotation = annotation | None if annotation is not Any else Any
    description = description if description.endswith(".") else f"{description}."
    field = (annotation, Field(default, description=description))
    fields: dict[str, Any] = {name: field}
    trial = create_model("Trial", __base__=Options, **fields)
    try:
        trial.model_validate({name: default})
    except ValidationError:
        return (Any, Field(default, description=description))
    return field
