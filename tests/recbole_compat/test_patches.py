"""The patches are listed where a reviewer looks, and stand alone."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from types import ModuleType

import pytest

import llm4rec_recbole
from benchmarks import recbole_changes
from llm4rec_recbole.recbole_compat import changes_results, import_hook

COMPAT = Path(changes_results.__file__).parent


def patches_of(module: str) -> set[str]:
    """Names of the patches that `module` registers."""
    importlib.import_module(module)
    patches = [patch for list_ in import_hook.PATCHES.values() for patch in list_]
    return {patch.__name__ for patch in patches if patch.__module__ == module}


def test_the_head_of_changes_results_lists_each_of_its_patches() -> None:
    head = changes_results.__doc__ or ""
    listed = {line.split()[0] for line in head.splitlines() if line.startswith("    ")}
    assert patches_of(changes_results.__name__) <= listed


def test_every_patch_that_changes_results_is_measured_or_needs_other_hardware() -> None:
    measured = {case.patch for case in recbole_changes.CASES}
    other_hardware = {"respect_use_gpu", "evaluate_loaders", "average_over_users"}
    assert patches_of(changes_results.__name__) == (
        measured & patches_of(changes_results.__name__) | other_hardware
    )


@pytest.mark.parametrize("module", llm4rec_recbole.PATCH_MODULES)
def test_every_patch_names_its_upstream_and_says_what_it_does(module: str) -> None:
    importlib.import_module(module)
    patches = [patch for list_ in import_hook.PATCHES.values() for patch in list_]
    for patch in patches:
        if patch.__module__ == module:
            assert patch.upstream
            assert patch.__doc__, patch.__name__


def test_patches_run_in_the_order_of_the_list_not_of_the_imports(monkeypatch) -> None:
    """A test that imported the last module first changed which rows a metric saw."""
    ran: list[str] = []

    def registered_by(module: str) -> import_hook.Patch:
        def patch(recbole_module: ModuleType) -> None:
            ran.append(module)

        patch.__module__ = module
        return patch

    patches = [registered_by("second"), registered_by("first")]
    monkeypatch.setattr(import_hook, "PATCHES", {"recbole.x": patches})
    import_hook._apply_patches(ModuleType("recbole.x"), ["first", "second"])
    assert ran == ["first", "second"]


@pytest.mark.parametrize("file", sorted(COMPAT.glob("*.py")), ids=lambda file: file.name)
def test_the_patches_import_nothing_of_ours_but_errors_files_and_checkpoints(file: Path) -> None:
    allowed = ("errors", "files", "checkpoints", "recbole_compat", "yaml_files")
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("llm4rec_recbole"):
            parts = (node.module or "").split(".")[1:] or [alias.name for alias in node.names]
            assert parts[0] in allowed, ast.unparse(node)


@pytest.mark.slow
@pytest.mark.parametrize("case", recbole_changes.CASES, ids=lambda case: case.patch)
def test_a_patch_moves_metrics_where_the_list_says_so(
    case: recbole_changes.Case, tmp_path: Path
) -> None:
    _, moved = recbole_changes.row(case, recbole_changes.cut(tmp_path, users=40))
    assert moved == case.moves
