"""Import transformers without the libraries that it imports and that nothing here uses.

    sklearn.metrics            for a threshold of assisted generation
    torch.distributed.tensor   for models that several processes share
    torch._dynamo              for compiled attention masks
    transformers.loss          for losses of all its models; it imports scipy.optimize

They are two thirds of the import: 2.8 of 3.8 seconds. Meanwhile a module with the names that
transformers reads stands in for each one that is not imported yet. A function imports the real one
when it is called. A class has no instances: `isinstance` is False, as it is in a single process.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_FUNCTIONS = {
    "sklearn.metrics": ("roc_curve",),
    "torch._dynamo._trace_wrapped_higher_order_op": ("TransformGetItemToIndex",),
}
_LOSSES = "transformers.loss.loss_utils"
_CLASSES = {"torch.distributed.tensor": ("DTensor", "Placement", "Replicate", "Shard")}


def import_transformers() -> None:
    """Import the parts of transformers that import these libraries; call it before any other
    import of transformers."""
    with _stand_ins():
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
        vars(stand_ins["torch._dynamo"]).update(allow_in_graph=_unmarked, disable=_unmarked)
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


def _unmarked(function: Any = None, *_: Any, **options: Any) -> Any:
    """A decorator for the compiler, which is not used."""
    return _unmarked if function is None else function
