"""Mend RecBole's modules as they are imported.

RecBole is installed unmodified from the registry. Each defect is mended by one small function,

    @mends("recbole.config.configurator", upstream="RecBole PR #2203")
    def numpy_aliases(module): ...

which runs once, right after the module it names has been executed (or at once, if it was imported
before this package). A mend that replaces a function calls `replace`, which also reaches the
modules that bound the old function by name (`from recbole.utils import get_model`).
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any

Mend = Callable[[ModuleType], None]
Around = Callable[[], AbstractContextManager[None]]
_MENDS: dict[str, list[Mend]] = {}
_AROUND: dict[str, Around] = {}
_MEND_MODULES = (
    "recbole_compat.config",
    "recbole_plugin.reading",
    "recbole_plugin.losses",
    "recbole_compat.modern_dependencies",
    "recbole_plugin.protocols",
    "recbole_plugin.sampling",
    "recbole_compat.no_code_execution",  # after protocols: it wraps its `evaluate`
    "recbole_compat.changes_results",
    "recbole_compat.distributed",
    "recbole_plugin.collected_data",
    "recbole_plugin.extensions",
)


def mends(module: str, *, upstream: str) -> Callable[[Mend], Mend]:
    """Register a mend of `module`; `upstream` names the issue or pull request, or says "none"."""

    def register(mend: Mend) -> Mend:
        mend.upstream = upstream  # type: ignore[attr-defined]
        _MENDS.setdefault(module, []).append(mend)
        return mend

    return register


def around(module: str) -> Callable[[Around], Around]:
    """Register a context manager within which `module` is executed."""

    def register(context: Around) -> Around:
        _AROUND[module] = context
        return context

    return register


def replace(module: ModuleType, name: str, new: Any) -> Any:
    """Put `new` where `module.name` was, in every RecBole module that bound it; return the old."""
    old = getattr(module, name)
    for other in list(sys.modules.values()):
        if getattr(other, "__name__", "").startswith("recbole"):
            for bound, value in list(vars(other).items()):
                if value is old:
                    setattr(other, bound, new)
    setattr(module, name, new)
    return old


class _Shadow:
    """What a module sees under one of its names: the real thing, with some functions replaced."""

    def __init__(self, real: Any, functions: dict[str, Any]) -> None:
        self.__dict__ |= functions
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def shadow(module: ModuleType, name: str, **functions: Any) -> None:
    """Let the global `name` of `module` have these functions; no other module sees a difference."""
    vars(module)[name] = _Shadow(vars(module)[name], functions)


class _MendingLoader(importlib.abc.Loader):
    """Runs RecBole's own loader, then the mends of the module it loaded."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        with _AROUND.get(module.__name__, nullcontext)():
            self._loader.exec_module(module)
        _mend(module)

    def __getattr__(self, name: str) -> Any:  # get_source, get_filename, … for tracebacks
        return getattr(self._loader, name)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds RecBole's modules where Python would, and stands in for `ray` where it is absent."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name in ("ray", "ray.tune"):
            return _ray_stand_in(name)
        if name != "recbole" and not name.startswith("recbole."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            _register_mends()
            spec.loader = _MendingLoader(spec.loader)
        return spec


class _RayLoader(importlib.abc.Loader):
    """An empty `ray`, so that RecBole's `from ray import tune` succeeds.

    RecBole imports ray unconditionally and pins a release that does not install on Python 3.12
    (RecBole #2187, #2215); only its hyper-parameter search by ray ever uses it.
    """

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__path__ = []

        def missing(name: str) -> Any:
            raise AttributeError(f"ray is not installed, so ray.{name} is not available")

        if module.__name__ == "ray":
            vars(module)["tune"] = importlib.import_module("ray.tune")
        vars(module)["__getattr__"] = missing


def _ray_stand_in(name: str) -> importlib.machinery.ModuleSpec | None:
    if importlib.machinery.PathFinder.find_spec("ray") is not None:
        return None
    return importlib.machinery.ModuleSpec(name, _RayLoader(), is_package=True)


def _register_mends() -> None:
    """Import the modules that fill the table; they import nothing heavy themselves."""
    for name in _MEND_MODULES:
        importlib.import_module(f"llm4rec_recbole.{name}")


def _mend(module: ModuleType) -> None:
    for mend in _MENDS.get(module.__name__, ()):
        mend(module)


def install() -> None:
    """Watch for imports of RecBole from now on; mend what of it is already imported. Idempotent."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder())
    imported = [module for name, module in sys.modules.items() if name.split(".")[0] == "recbole"]
    if imported:
        _register_mends()
        for module in imported:
            _mend(module)
