"""Each stage's `deps` in dvc.yaml cover the modules that its command imports, folder by folder.

Too few, and an edit leaves old results in place; too many, and an edit of anything repeats all.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from llm4rec_recbole import PATCH_MODULES, registry
from llm4rec_recbole.cli.run import COMMANDS

TOP = Path(__file__).parents[2]
PACKAGE = "llm4rec_recbole"
# Messages, files, names of machines, checks of options; the values of options are in properties/.
OPTIONS = ("model_options", "option_readers", "option_refusals", "yaml_files")
NOT_NAMED = [
    TOP / PACKAGE / f"{name}.py"
    for name in ("__init__", "console", "errors", "files", "machine", *OPTIONS)
]
PARAMS = yaml.safe_load((TOP / "params.yaml").read_text())
STAGES = yaml.safe_load((TOP / "dvc.yaml").read_text())["stages"]
#: The stages that load a trained model; its record stands for the code that trained it.
EXPLAIN = ("showcase", "faithfulness", "replay")
#: Stages that read records, which stand for the code of other stages: the stages that wrote them.
RECORDS_OF = {
    **dict.fromkeys((*EXPLAIN, "report"), ("train_ours",)),
    "train_nulls": ("train_ours", "train_baseline"),
    "train_parts": ("train_ours",),
    "train_sums": ("train_baseline",),
}


def modules_of_a_run(methods: list[str]) -> list[str]:
    models = [registry.MODELS[method] for method in methods if method in registry.MODELS]
    by_name = [*registry.METRICS.values(), *registry.ITEM_VECTORS.values(), *models]
    modules = [name.partition(":")[0] for name in by_name]
    return [f"{PACKAGE}.training.run", *PATCH_MODULES, *modules]


def roots(stage: str) -> list[str]:
    """The modules that a stage's commands start."""
    if stage.startswith("train_"):
        methods = PARAMS["methods"][stage.removeprefix("train_")]
        return modules_of_a_run([registry.variant(method)[0] for method in methods])
    if stage in EXPLAIN:
        return [module_of(stage)]
    words = STAGES[stage]["cmd"].split()
    if f"{PACKAGE}.cli" in words:  # `python -m llm4rec_recbole.cli COMMAND`
        return [module_of(words[words.index(f"{PACKAGE}.cli") + 1])]
    return [word for word in words if word.startswith(f"{PACKAGE}.")]


def module_of(command: str) -> str:
    return f"{PACKAGE}.{COMMANDS[command][0].partition(':')[0]}"


@pytest.mark.parametrize("stage", STAGES)
def test_deps_cover_what_is_imported(stage: str) -> None:
    imported = {path for path in closure(roots(stage)) if path.parent.name != "cli"}
    named = code_of(stage)
    for writer in RECORDS_OF.get(stage, ()):
        named |= code_of(writer)
    if stage == "report":  # it imports those that explain for their types, and runs no model
        named |= code_of("showcase")
    if stage in ("faithfulness", "replay"):  # replay prints its table as the report page does
        named |= files(TOP / PACKAGE / "reporting")
    assert imported - named == set(), "imported, but not among the stage's deps"


@pytest.mark.parametrize("stage", STAGES)
def test_every_dep_is_imported(stage: str) -> None:
    together = EXPLAIN if stage in EXPLAIN else [stage]  # one list of deps
    imported = closure([root for name in together for root in roots(name)])
    unused = [dep for dep in named_code(stage) if not files(TOP / dep) & imported]
    assert unused == [], "among the stage's deps, but nothing in it is imported"


def test_baselines_do_not_depend_on_the_paper_s_models() -> None:
    for stage in ("train_deterministic", "train_baseline"):
        models = [dep for dep in named_code(stage) if "/models" in dep]
        assert models == [f"{PACKAGE}/models/baselines.py"]


def test_commands_run_the_code_beside_them() -> None:
    """A queued experiment has a copy of the code: a console script would run another one."""
    for name, stage in STAGES.items():
        for command in [stage["cmd"]] if isinstance(stage["cmd"], str) else stage["cmd"]:
            command = command.removeprefix("OMP_NUM_THREADS=1 ")
            assert command.startswith(f"python -m {PACKAGE}."), name


def test_dvc_yaml_is_short_and_describes_each_stage() -> None:
    assert len((TOP / "dvc.yaml").read_text().splitlines()) <= 170
    assert [name for name, stage in STAGES.items() if not stage.get("desc")] == []


def test_closure_follows_imports_inside_functions() -> None:
    """training/run.py imports record.py only where it needs it, and that evaluation/ranking.py."""
    names = {path.name for path in closure([f"{PACKAGE}.training.run"])}
    assert {"run.py", "record.py", "ranking.py"} <= names


def code_of(stage: str) -> set[Path]:
    return {path for dep in named_code(stage) for path in files(TOP / dep)}


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
    modules = {path} if path.is_file() else set(path.rglob("*.py"))
    return {file for file in modules if must_be_named(file)}


def must_be_named(file: Path) -> bool:
    only_a_docstring = file.name == "__init__.py" and len(parse(file).body) <= 1
    return file not in NOT_NAMED and not only_a_docstring


def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def closure(roots: list[str]) -> set[Path]:
    """The package's files that `roots` import, themselves included, wherever the import stands."""
    assert all(source(root) for root in roots), roots
    waiting, seen = list(roots), set()
    while waiting:
        name = waiting.pop()
        if name == f"{PACKAGE}.cli.run" and name not in roots:
            continue  # the dispatcher, which a module of cli imports to start itself
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
