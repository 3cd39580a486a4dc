"""What this project adds to RecBole, by name: models, metrics, option classes.

Each table maps a class's name to its module, or to `module:Class` where the class has another name.
The module is imported when RecBole first looks the class up. A model's class attributes say which
batches and which trainer it needs (training/batches.py, training/trainer.py). Nothing heavy is
imported here, RecBole included.
"""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from llm4rec_recbole.files import properties_folder, recbole_folder

_ENHANCED = "llm4rec_recbole.models.enhanced_genrec"

#: EnhancedGenRec, and its variants with one component each (Table V).
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
    **dict.fromkeys(ENHANCED_GENREC, f"{_ENHANCED}.model"),
}
METRICS: dict[str, str] = {
    "Coverage": "llm4rec_recbole.recbole_plugin.metrics",
    "Fairness": "llm4rec_recbole.recbole_plugin.metrics",
    "IntraListDiversity": "llm4rec_recbole.recbole_plugin.metrics",
    "Novelty": "llm4rec_recbole.recbole_plugin.metrics",
}
#: Each model's own options, as a class of pydantic. Every other model's are read off its source.
OPTIONS: dict[str, str] = {
    "GenRec": "llm4rec_recbole.models.genrec.options:GenRecOptions",
    "P5": "llm4rec_recbole.models.p5.options:P5Options",
    "RecencyEASE": "llm4rec_recbole.models.baseline_options:RecencyEASEOptions",
    **dict.fromkeys(ENHANCED_GENREC, f"{_ENHANCED}.options:EnhancedGenRecOptions"),
}


def variant(name: str) -> tuple[str, dict[str, Any]]:
    """The model and the options that `name` stands for: most names stand for themselves.

    EnhancedGenRec_fusion_retrieval is EnhancedGenRec with two components, EnhancedGenRec_none with
    none. Their records have that name.
    """
    model, *components = name.split("_")
    if model != "EnhancedGenRec" or not components:
        return name, {}
    return model, {"components": [c for c in components if c != "none"], "method": name}


def load(table: dict[str, str], name: str) -> Any:
    """The class that `table` lists under `name`. Raises KeyError when it is not listed."""
    module, _, class_name = table[name].partition(":")
    return getattr(importlib.import_module(module), class_name or name)


# What can be run: models, data sets and protocols, listed without importing RecBole.


@cache
def models() -> dict[str, Path]:
    """Every model's name and the file of its class: this project's first, then RecBole's."""
    package = Path(__file__).resolve().parents[1]
    files = {
        name: (package / module.partition(":")[0].replace(".", "/")).with_suffix(".py")
        for name, module in MODELS.items()
    }
    for file in sorted(recbole_folder().glob("model/*_recommender/*.py")):
        for name in re.findall(r"^class (\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE):
            if name.lower() == file.stem and name not in files:
                files[name] = file
    return files


def datasets(data_path: str = "dataset") -> list[str]:
    """Data sets at hand: the one in RecBole's wheel, and the folders of `data_path`."""
    own = Path(data_path)
    folders = sorted(own.iterdir()) if own.is_dir() else []
    return sorted({"ml-100k", *(folder.name for folder in folders if any(folder.glob("*.inter")))})


def protocols() -> list[str]:
    """The protocols that have a property file."""
    return sorted(file.stem for file in (properties_folder() / "protocol").glob("*.yaml"))
