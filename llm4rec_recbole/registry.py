"""What this project adds to RecBole, by name: models and metrics.

Each table maps a class's name to its module, which is imported when RecBole first looks the class
up. A model's class attributes say which batches and which trainer it needs (training/batches.py,
training/trainer.py).
"""

from __future__ import annotations

import ast
import difflib
import importlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import properties_folder as folder
from llm4rec_recbole.files import recbole_folder

#: EnhancedGenRec, and each of its components alone.
ENHANCED_GENREC = (
    "EnhancedGenRec",
    "GenRecFusion",
    "GenRecRetrieval",
    "GenRecDebias",
    "GenRecExplain",
    "GenRecAdapt",
)
MODELS: dict[str, str] = {
    "EASE": "llm4rec_recbole.models.baselines",
    "GenRec": "llm4rec_recbole.models.genrec.model",
    "ItemKNN": "llm4rec_recbole.models.baselines",
    "P5": "llm4rec_recbole.models.p5.model",
    "RecencyEASE": "llm4rec_recbole.models.baselines",
    "SASRec": "llm4rec_recbole.models.baselines",
    **dict.fromkeys(ENHANCED_GENREC, "llm4rec_recbole.models.enhanced_genrec.model"),
}
METRICS: dict[str, str] = {
    "Coverage": "llm4rec_recbole.recbole_plugin.metrics",
    "Fairness": "llm4rec_recbole.recbole_plugin.metrics",
    "IntraListDiversity": "llm4rec_recbole.recbole_plugin.metrics",
    "Novelty": "llm4rec_recbole.recbole_plugin.metrics",
}


def variant(name: str) -> tuple[str, dict[str, Any]]:
    """The model and the options that `name` stands for: most stand for themselves.

    EnhancedGenRec_fusion_retrieval is EnhancedGenRec with two components, EnhancedGenRec_none with
    none; their records go by that name.
    """
    model, *components = name.split("_")
    if model != "EnhancedGenRec" or not components:
        return name, {}
    return model, {"components": [c for c in components if c != "none"], "method": name}


def load(table: dict[str, str], name: str) -> Any:
    """The class that `table` lists under `name`. Raises KeyError when it is not listed."""
    return getattr(importlib.import_module(table[name]), name)


# What can be run: models, data sets, protocols and options, found without importing RecBole.


#: Options that RecBole or this project reads and that no property file lists.
_UNLISTED = {
    "model",
    "dataset",
    "config_files",
    "data_path",
    "benchmark_filename",
    "numerical_features",
}
_UNLISTED |= {"additional_feat_suffix", "device", "components", "kg_reverse_r", "nproc"}


@cache
def models() -> dict[str, Path]:
    """Every model's name and the file of its class: this project's first, then RecBole's."""
    package = Path(__file__).resolve().parents[1]
    found = {
        name: (package / module.replace(".", "/")).with_suffix(".py")
        for name, module in MODELS.items()
    }
    for file in sorted(recbole_folder().glob("model/*_recommender/*.py")):
        for name in re.findall(r"^class (\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE):
            if name.lower() == file.stem and name not in found:
                found[name] = file
    return found


def datasets(data_path: str = "dataset") -> list[str]:
    """Data sets at hand: the one in RecBole's wheel, and the folders of `data_path`."""
    own = Path(data_path)
    here = (
        [d.name for d in sorted(own.iterdir()) if list(d.glob("*.inter"))] if own.is_dir() else []
    )
    return sorted({"ml-100k", *here})


def protocols() -> list[str]:
    """The protocols that have a property file."""
    return sorted(file.stem for file in (folder() / "protocol").glob("*.yaml"))


@cache
def options_of(model: str) -> frozenset[str]:
    """Options that mean something for `model`: those of the property files, RecBole's lists, and
    what the model's source reads from its configuration."""
    recbole = recbole_folder()
    files = [recbole / "properties" / "overall.yaml", recbole / "properties/dataset/sample.yaml"]
    files += [*(recbole / "properties/quick_start_config").glob("*.yaml")]
    files += [recbole / "properties" / "model" / f"{model}.yaml"]
    files += [folder() / "overall.yaml", folder() / "model" / f"{model}.yaml"]
    files += [*(folder() / "protocol").glob("*.yaml"), *(folder() / "dataset").glob("*.yaml")]
    names = set(_UNLISTED)
    for file in files:
        if file.is_file():
            names |= set(re.findall(r"^(\w+):", file.read_text(encoding="utf-8"), re.MULTILINE))
    arguments = ast.parse((recbole / "utils/argument_list.py").read_text(encoding="utf-8"))
    names |= {
        node.value
        for node in ast.walk(arguments)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    source = models()[model].read_text(encoding="utf-8") if model in models() else ""
    names |= set(re.findall(r"config\[\s*[\"'](\w+)[\"']", source))
    return frozenset(names)


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing when no known word is near."""
    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return f"; did you mean {by_lower[found[0]]}?" if found else ""


def check(model: str, dataset: str, options: dict[str, Any], config_files: list[str]) -> None:
    """Raise InputError, naming the nearest right one, for what does not exist."""
    if model not in models():
        raise InputError(f"there is no model {model!r}{nearest(model, models())}")
    given = dict.fromkeys(options)
    for file in config_files:
        given |= dict.fromkeys(_read_config(file))
    data_path = str(options.get("data_path", "dataset"))
    at_hand = datasets(data_path)
    if dataset not in at_hand and "data_path" not in given:
        hint = f"put its atomic files into {data_path}/{dataset}/"
        raise InputError(f"there is no data set {dataset!r}{nearest(dataset, at_hand)}", hint=hint)
    protocol = options.get("protocol", "loo")
    if protocol not in protocols():
        raise InputError(f"there is no protocol {protocol!r}{nearest(str(protocol), protocols())}")
    known = options_of(model)
    for name in given:
        if name not in known:
            raise InputError(f"there is no option --{name}{nearest(name, known)}")


def _read_config(file: str) -> dict[str, Any]:
    """A configuration file's options. Raises InputError with the line that cannot be read."""
    import yaml

    try:
        with open(file, encoding="utf-8") as text:
            values = yaml.safe_load(text)
    except OSError as error:
        raise InputError(f"cannot read it: {error.strerror}", file=file) from error
    except UnicodeDecodeError as error:
        raise InputError(f"this is not UTF-8 text: {error.reason}", file=file) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise InputError(problem, file=file, line=line) from error
    if values is not None and not isinstance(values, dict):
        raise InputError("it must hold `option: value` lines", file=file)
    return values or {}


def help_text() -> str:
    """What `run_recbole --help` prints."""
    own = sorted({*MODELS, *(file.stem for file in (folder() / "model").glob("*.yaml"))})
    others = sorted(set(models()) - set(own))
    return "\n".join(
        [
            "usage: run_recbole --model=MODEL --dataset=DATASET [--any_option=value ...]",
            "",
            "Train a RecBole model to early stopping, rank the held-out items, write a record.",
            "Values are YAML: --topk=[5,10], --train_neg_sample_args='{distribution: popularity}'.",
            "",
            f"models       {_wrap(own)}",
            f"             and RecBole's: {_wrap(others)}",
            f"data sets    {', '.join(datasets())}; any folder of atomic files in --data_path",
            f"protocols    {', '.join(protocols())}",
            "files        --config_files=a.yaml,b.yaml  later ones win; options win over files",
            "",
            "options of this project (properties/overall.yaml), beside all of RecBole's:",
            *_explained(folder() / "overall.yaml"),
            "",
            "A model's own options: properties/model/<MODEL>.yaml",
        ]
    )


def _wrap(names: list[str], width: int = 84) -> str:
    import textwrap

    return textwrap.fill(", ".join(names), width).replace("\n", "\n             ")


def _explained(file: Path) -> list[str]:
    """A line for each option of a property file: name, default, and its comment."""
    lines = re.findall(r"^(\w+): *(.*?) +# (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return [f"  --{name}={default}".ljust(36) + f" {about}" for name, default, about in lines]
