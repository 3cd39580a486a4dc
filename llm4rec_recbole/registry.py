"""What this project adds to RecBole, by name: models, metrics, option classes.

Each table maps a class's name to its module, or to `module:Class` where the class has another name.
The module is imported when RecBole first looks the class up. A model's class attributes say which
batches and which trainer it needs (training/batches.py, training/trainer.py). Nothing heavy is
imported here, RecBole included.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import properties_folder, recbole_folder
from llm4rec_recbole.yaml_files import read_yaml

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


def _own_models() -> dict[str, str]:
    """The model classes of models/ that have a file in properties/model/, with their modules."""
    names = {file.stem for file in (properties_folder() / "model").glob("*.yaml")}
    package = Path(__file__).resolve().parent
    modules = {}
    for file in sorted((package / "models").rglob("*.py")):
        module = ".".join([package.name, *file.relative_to(package).with_suffix("").parts])
        for name in re.findall(r"^class (\w+)", file.read_text(encoding="utf-8"), re.MULTILINE):
            if name in names:
                modules[name] = module
    return modules


MODELS: dict[str, str] = {**_own_models(), **dict.fromkeys(ENHANCED_GENREC, f"{_ENHANCED}.model")}
METRICS: dict[str, str] = dict.fromkeys(
    ("Coverage", "Fairness", "IntraListDiversity", "Novelty"),
    "llm4rec_recbole.recbole_plugin.metrics",
)
#: RecBole's models whose `item_embedding` the option `item_init` can set.
ITEM_INIT = ("BPR", "Caser", "CORE", "GCSAN", "GRU4Rec", "LightSANs", "NARM", "NextItNet", "NGCF",
             "SRGNN", "STAMP")  # fmt: skip
#: The functions of (config, dataset, d) behind the values of the option `item_init`.
ITEM_VECTORS: dict[str, str] = {
    "spectral": "llm4rec_recbole.components.item_init:spectral_item_vectors",
    "text": "llm4rec_recbole.components.item_init:text_item_vectors",
}
#: Each model's own options, as a class of pydantic. Every other model's are read off its source.
OPTIONS: dict[str, str] = {
    "GenRec": "llm4rec_recbole.models.options:GenRecOptions",
    "P5": "llm4rec_recbole.models.options:P5Options",
    "RecencyEASE": "llm4rec_recbole.models.options:RecencyEASEOptions",
    "SLIST": "llm4rec_recbole.models.options:SLISTOptions",
    "SumOfReferences": "llm4rec_recbole.models.options:SumOfReferencesOptions",
    "SASRec": "llm4rec_recbole.models.options:SASRecOptions",
    "BERT4Rec": "llm4rec_recbole.models.options:BERT4RecOptions",
    **dict.fromkeys(ITEM_INIT, "llm4rec_recbole.training.options:ItemInitOptions"),
    **dict.fromkeys(ENHANCED_GENREC, f"{_ENHANCED}.options:EnhancedGenRecOptions"),
}


def variant(name: str) -> tuple[str, dict[str, Any]]:
    """The model and the options that `name` stands for: most names stand for themselves.

    EnhancedGenRec_fusion_retrieval is EnhancedGenRec with two components, EnhancedGenRec_none with
    none. SASRec+RecencyEASE is the sum of two references. EnhancedGenRec-random-body and others are
    nulls (properties/nulls.yaml). Their records have that name.
    """
    if "-" in name and (null := nulls().get(name)):
        return null["model"], {**null["options"], "method": name}
    if re.fullmatch(r"\w+(\+\w+)+", name):
        return "SumOfReferences", {"references": name.split("+"), "method": name}
    model, *components = name.split("_")
    if model != "EnhancedGenRec" or not components:
        return name, {}
    return model, {"components": [c for c in components if c != "none"], "method": name}


@cache
def nulls() -> dict[str, dict[str, Any]]:
    """The null ladder of properties/nulls.yaml: method → what it is a null of, how it is run."""
    return read_yaml(properties_folder() / "nulls.yaml").values


def load(table: dict[str, str], name: str) -> Any:
    """The class that `table` lists under `name`. Raises KeyError when it is not listed."""
    module, _, class_name = table[name].partition(":")
    return getattr(importlib.import_module(module), class_name or name)


# Models outside this package: `package.module:Class`, `path/to/file.py:Class`, entry points.

ENTRY_POINTS = "llm4rec_recbole.models"  # of a package: MyEASE = "my_package.models:MyEASE"
#: Classes of the user's own that this process has loaded, by name.
USER_MODELS: dict[str, type] = {}


def resolve_model(model: Any) -> Any:
    """The class that `model` names outside this package; `model` itself for every other name.

    Importing the class runs its module. Raises InputError where it cannot be imported, or is no
    model of RecBole's kind.
    """
    if isinstance(model, type):
        USER_MODELS[model.__name__] = model
        return model
    if not isinstance(model, str) or model in MODELS:
        return model
    location = model if ":" in model else _entry_points().get(model)
    if location is None:
        return USER_MODELS.get(model, model)
    source, _, name = location.rpartition(":")
    module = _import_file(Path(source)) if source.endswith(".py") else _import_module(source)
    loaded = getattr(module, name, None)
    if not isinstance(loaded, type) or not hasattr(loaded, "type"):
        hint = "a subclass of one of RecBole's models, or of recbole.model.abstract_recommender"
        raise InputError(f"{source} has no model {name}", hint=hint)
    USER_MODELS[name] = loaded
    return loaded


@cache
def _entry_points() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {entry.name: entry.value for entry in entry_points(group=ENTRY_POINTS)}


def _import_file(file: Path) -> Any:
    """The module in `file`; modules beside it can be imported from it."""
    if not file.is_file():
        raise InputError("there is no such file", file=file)
    name = f"user_models_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InputError("this is no Python file", file=file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(file.resolve().parent) not in sys.path:
        sys.path.append(str(file.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _import_error("it", error, file) from error
    return module


def _import_module(name: str) -> Any:
    """The module `name`, also from the current folder, where a command is started."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise _import_error(name, error) from error


def _import_error(name: str, error: Exception, file: Path | None = None) -> InputError:
    message = f"cannot import {name}: {type(error).__name__}: {error}"
    return InputError(" ".join(message.split()), file=file)


def property_file(model: str) -> Path:
    """The file of a model's default options: for a user's own class, <Class>.yaml beside it."""
    family = "EnhancedGenRec" if model in ENHANCED_GENREC else model
    if model in USER_MODELS and model not in MODELS:
        module = sys.modules[USER_MODELS[model].__module__]
        return Path(module.__file__ or "").parent / f"{model}.yaml"
    return properties_folder() / "model" / f"{family}.yaml"


def recbole_property_file(model: str) -> Path:
    """RecBole's file of a model's default options, which need not exist.

    The files of its decision trees have lower-case names, under which RecBole never finds them.
    """
    folder = recbole_folder() / "properties" / "model"
    file = folder / f"{model}.yaml"
    return file if file.is_file() else folder / f"{model.lower()}.yaml"


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
    base = Path(data_path)
    folders = sorted(base.iterdir()) if base.is_dir() else []
    return sorted({"ml-100k", *(folder.name for folder in folders if any(folder.glob("*.inter")))})


def protocols() -> list[str]:
    """The protocols that have a property file."""
    return sorted(file.stem for file in (properties_folder() / "protocol").glob("*.yaml"))
