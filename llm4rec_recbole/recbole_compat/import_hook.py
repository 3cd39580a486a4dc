"""Patch RecBole's modules when Python imports them.

RecBole is installed unmodified from the registry. One small function patches one defect:

    @patch("recbole.config.configurator", upstream="RecBole PR #2203")
    def skip_numpy_aliases(module): ...

The function runs once, right after the named module has been executed. If RecBole was imported
before this package, the function runs at once. A patch that replaces a function calls `replace`,
which also reaches the modules that bound the old function by name
(`from recbole.utils import get_model`).
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any

Patch = Callable[[ModuleType], None]
ImportContext = Callable[[], AbstractContextManager[None]]
#: RecBole's module → its patches, in the order of their registration.
PATCHES: dict[str, list[Patch]] = {}
#: Names of patches that are not applied. docs/recbole_changes.md measures each patch with this.
DISABLED: set[str] = set()
_CONTEXTS: dict[str, ImportContext] = {}
#: Packages whose `from module import Name` lines run when the name is first used.
_LATE: set[str] = set()


def patch(module: str, *, upstream: str) -> Callable[[Patch], Patch]:
    """Register a patch of `module`; `upstream` names the issue or pull request, or says "none"."""

    def register(function: Patch) -> Patch:
        function.upstream = upstream  # type: ignore[attr-defined]
        PATCHES.setdefault(module, []).append(function)
        return function

    return register


def while_importing(module: str) -> Callable[[ImportContext], ImportContext]:
    """Register a context manager within which `module` is executed."""

    def register(context: ImportContext) -> ImportContext:
        _CONTEXTS[module] = context
        return context

    return register


def import_names_late(package: str) -> None:
    """Import the modules of `package` when their names are first used. Its `__init__` must only
    have lines such as `from package.module import Name`."""
    _LATE.add(package)


def replace(module: ModuleType, name: str, new: Any) -> Any:
    """Replace `module.name` in every RecBole module that bound it; return the old value."""
    old = getattr(module, name)
    for other in list(sys.modules.values()):
        if getattr(other, "__name__", "").startswith("recbole"):
            for bound, value in list(vars(other).items()):
                if value is old:
                    setattr(other, bound, new)
    setattr(module, name, new)
    return old


def override(owner: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make the decorated function the method of `owner` that has its name."""

    def set_method(function: Callable[..., Any]) -> Callable[..., Any]:
        setattr(owner, function.__name__, function)
        return function

    return set_method


def wrap(owner: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """As `override`; the function gets the method that it replaces before `self`."""

    def set_method(function: Callable[..., Any]) -> Callable[..., Any]:
        old = getattr(owner, function.__name__)

        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            return function(old, self, *args, **kwargs)

        setattr(owner, function.__name__, method)
        return method

    return set_method


class _Override:
    """A stand-in for a module's global: the real object, with some functions replaced."""

    def __init__(self, real: Any, functions: dict[str, Any]) -> None:
        self.__dict__ |= functions
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def override_global(module: ModuleType, name: str, **functions: Any) -> None:
    """Replace functions of the global `name` of `module`; other modules see the original."""
    vars(module)[name] = _Override(vars(module)[name], functions)


class _PatchingLoader(importlib.abc.Loader):
    """Runs RecBole's own loader, then the patches of the module it loaded."""

    def __init__(self, loader: importlib.abc.Loader, patch_modules: Sequence[str]) -> None:
        self._loader, self._patch_modules = loader, patch_modules

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        _import_all(self._patch_modules)
        names = self._late_names(module.__name__)
        if names:
            _define_late(module, names)
        else:
            with _CONTEXTS.get(module.__name__, nullcontext)():
                self._loader.exec_module(module)
        _apply_patches(module, self._patch_modules)

    def _late_names(self, name: str) -> dict[str, str]:
        """Each name that a late package imports → its module; {} for every other module."""
        if name not in _LATE:
            return {}
        tree = ast.parse(self.get_source(name))
        if not all(isinstance(line, ast.ImportFrom) and line.module for line in tree.body):
            return {}
        return {
            imported.asname or imported.name: line.module
            for line in tree.body
            if isinstance(line, ast.ImportFrom) and line.module
            for imported in line.names
        }

    def __getattr__(self, name: str) -> Any:  # get_source, get_filename, … for tracebacks
        return getattr(self._loader, name)


def _define_late(module: ModuleType, names: dict[str, str]) -> None:
    """Give `module` each name at its first use (PEP 562)."""

    def __getattr__(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(names[name]), name)
        setattr(module, name, value)
        return value

    vars(module).update(__getattr__=__getattr__, __all__=[*names])


class _Finder(importlib.abc.MetaPathFinder):
    """Finds RecBole's modules where Python would, and stands in for `ray` where it is absent."""

    def __init__(self, patch_modules: Sequence[str]) -> None:
        self._patch_modules = patch_modules

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name in ("ray", "ray.tune"):
            is_installed = importlib.machinery.PathFinder.find_spec("ray") is not None
            stand_in = importlib.machinery.ModuleSpec(name, _RayLoader(), is_package=True)
            return None if is_installed else stand_in
        if name != "recbole" and not name.startswith("recbole."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _PatchingLoader(spec.loader, self._patch_modules)
        return spec


class _RayLoader(importlib.abc.Loader):
    """An empty `ray`, so that RecBole's `from ray import tune` succeeds.

    RecBole imports ray unconditionally and pins a release that does not install on Python 3.12
    (RecBole #2187, #2215). Only RecBole's hyper-parameter search by ray uses it.
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


def _import_all(modules: Sequence[str]) -> None:
    """Import the modules that register patches; they import nothing heavy themselves."""
    for name in modules:
        importlib.import_module(name)


def _apply_patches(module: ModuleType, patch_modules: Sequence[str]) -> None:
    """In the order of `patch_modules`, in whatever order these were imported."""
    order = {name: number for number, name in enumerate(patch_modules)}
    patches = PATCHES.get(module.__name__, ())
    for function in sorted(patches, key=lambda each: order.get(each.__module__, len(order))):
        if function.__name__ not in DISABLED:
            function(module)


def install(patch_modules: Sequence[str]) -> None:
    """Apply the patches that `patch_modules` register: now to what is imported, later to the rest;
    once."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder(patch_modules))
    imported = [module for name, module in sys.modules.items() if name.split(".")[0] == "recbole"]
    if imported:
        _import_all(patch_modules)
        for module in imported:
            _apply_patches(module, patch_modules)
