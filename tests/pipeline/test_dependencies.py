"""Each stage's `deps` in dvc.yaml name the modules that its command imports; a run's no other.

Too few, and an edit leaves old results standing; too many, and an edit of anything reruns all.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from llm4rec_recbole import PATCH_MODULES, registry

TOP = Path(__file__).parents[2]
PACKAGE = "llm4rec_recbole"
# How things are said, written and started; no number depends on them.
NOT_NAMED = [
    TOP / PACKAGE / name
    for name in ("__init__.py", "errors.py", "files.py", "cli.py", "pipeline/cells.py")
]
PARAMS = yaml.safe_load((TOP / "params.yaml").read_text())
RUNS = ("run_exact", "run")
STAGES = yaml.safe_load((TOP / "dvc.yaml").read_text())["stages"]


def modules_of_a_run(methods: list[str]) -> list[str]:
    models = [registry.MODELS[method] for method in methods if method in registry.MODELS]
    return [f"{PACKAGE}.training.run", *PATCH_MODULES, *registry.METRICS.values(), *models]


ROOTS = {
    "prepare": [f"{PACKAGE}.data.prepare"],
    "run_exact": modules_of_a_run(PARAMS["methods"]["exact"]),
    "run": modules_of_a_run(PARAMS["methods"]["trained"]),
    "encode": [f"{PACKAGE}.encoders.encode"],
    "run_generative": modules_of_a_run(PARAMS["methods"]["generative"]),
    "run_ours": modules_of_a_run([registry.variant(m)[0] for m in PARAMS["methods"]["ours"]]),
    "showcase": [f"{PACKAGE}.commands.showcase"],
    "faithfulness": [f"{PACKAGE}.commands.faithfulness"],
    "replay": [f"{PACKAGE}.commands.replay"],
    "metrics": [f"{PACKAGE}.pipeline.metrics"],
    "compare": [f"{PACKAGE}.cli.compare"],
    "fairness_null": [f"{PACKAGE}.cli.fairness_null"],
    "tables": [f"{PACKAGE}.cli.tables"],
    "data_sets": [f"{PACKAGE}.cli.dataset_table"],
    "report": [f"{PACKAGE}.cli.report"],
}


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_what_is_imported(stage: str) -> None:
    imported = closure(ROOTS[stage])
    named = {path for dep in named_code(stage) for path in files(TOP / dep)}
    assert imported - named == set(), "imported, but not among the stage's deps"
    if stage in RUNS:  # they share one list, models apart; the other stages take seconds
        for sharing in RUNS:
            imported |= closure(ROOTS[sharing])
        assert named - imported == set(), "among the stage's deps, but not imported"


def test_closure_follows_imports_inside_functions() -> None:
    """training/run.py imports record.py only where it needs it, and that evaluation/ranking.py."""
    names = {path.name for path in closure([f"{PACKAGE}.training.run"])}
    assert {"run.py", "record.py", "ranking.py"} <= names


def named_code(stage: str) -> list[str]:
    variables = {
        key: value for entry in STAGES[stage].get("vars", []) for key, value in entry.items()
    }
    deps = [dep for dep in STAGES[stage]["deps"] if dep.startswith(PACKAGE)]
    for key, value in variables.items():
        deps = [dep.replace("${" + key + "}", value) for dep in deps]
    return deps


def files(path: Path) -> set[Path]:
    assert path.exists(), path
    found = {path} if path.is_file() else set(path.rglob("*.py"))
    return {file for file in found if must_be_named(file)}


def must_be_named(file: Path) -> bool:
    only_says_what_it_holds = file.name == "__init__.py" and len(parse(file).body) <= 1
    return file not in NOT_NAMED and not only_says_what_it_holds


def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def closure(roots: list[str]) -> set[Path]:
    """The package's files that `roots` import, themselves included, wherever the import stands."""
    assert all(source(root) for root in roots), roots
    waiting, seen = list(roots), set()
    while waiting:
        name = waiting.pop()
        if name not in seen and (path := source(name)) is not None:
            seen.add(name)
            waiting.extend(imports(path))
    return {path for name in seen if (path := source(name)) and must_be_named(path)}


def source(module: str) -> Path | None:
    path = TOP / module.replace(".", "/")
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    parents = [name.rsplit(".", depth)[0] for name in names for depth in range(3)]
    return [name for name in parents if name.startswith(PACKAGE + ".")]
