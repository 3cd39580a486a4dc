"""Each stage's `deps` in dvc.yaml cover the modules that its command imports, folder by folder.

Too few, and an edit leaves old results in place; too many, and an edit of anything repeats all.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from llm4rec_recbole import PATCH_MODULES, registry
from llm4rec_recbole.cli.run import COMMANDS
from tests.helpers.fake_results import add_run, ranks_around

TOP = Path(__file__).parents[2]
PACKAGE = "llm4rec_recbole"
# Messages, files, names of machines, checks of options; the values of options are in properties/.
OPTIONS = ("model_options", "option_readers", "yaml_files", "language_models/sources")
NOT_NAMED = [
    TOP / PACKAGE / f"{name}.py"
    for name in ("__init__", "console", "errors", "files", "machine", "parser", *OPTIONS)
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
    """The modules that a stage's commands start, or "module:function" of a command."""
    if stage.startswith("train_"):
        methods = PARAMS["methods"][stage.removeprefix("train_")]
        return modules_of_a_run([registry.variant(method)[0] for method in methods])
    if stage in EXPLAIN:
        return [module_of(stage)]
    words = " ".join(commands(stage)).split()
    named = [module_of(words[n + 1]) for n, word in enumerate(words) if word == f"{PACKAGE}.cli"]
    return named or [word for word in words if word.startswith(f"{PACKAGE}.")]


def commands(stage: str) -> list[str]:
    command = STAGES[stage]["cmd"]
    return [command] if isinstance(command, str) else command


def module_of(command: str) -> str:
    return f"{PACKAGE}.{COMMANDS[command][0]}"


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


#: Folders of which only the names are listed.
NOT_DECLARED = {"results", "properties/model"}


@pytest.mark.parametrize("stage", ["compare", "tables", "data_sets", "report"])
def test_deps_cover_what_is_read(stage: str, results_of_two: Path) -> None:
    """Every file and folder of results, options and the paper's numbers that a stage opens."""
    words = [command.split()[3:] for command in commands(stage)]
    script = READS.format(commands=words)
    run = subprocess.run([sys.executable, "-c", script], cwd=results_of_two, text=True,
                         capture_output=True, check=False)  # fmt: skip
    assert run.returncode == 0, run.stderr
    opened = {Path(line) for line in run.stdout.splitlines() if line.startswith("/")}
    names = {
        path.relative_to(folder).as_posix()
        for path in opened
        for folder in (results_of_two, TOP)
        if path.is_relative_to(folder) and not path.is_relative_to(TOP / PACKAGE)
        if not path.name.endswith(".tmp-llm4rec")  # written first, then renamed to the output
    }
    data = {name for name in names if name.split("/")[0] in ("results", "benchmarks", "properties",
            "paper_tables", "docs")}  # fmt: skip
    outs = [next(iter(out)) for out in STAGES[stage]["outs"]]
    deps = [*STAGES[stage]["deps"], *outs]
    listed = {Path(out).parent.as_posix() for out in outs}  # for the files of dead writers
    unnamed = {name for name in data - NOT_DECLARED - listed if not within(name, deps)}
    assert unnamed == set()
    assert any(within(name, ["results/runs"]) for name in data)


def within(name: str, folders: list[str]) -> bool:
    return any(name == folder or name.startswith(f"{folder}/") for folder in folders)


#: Runs commands, then prints what they opened: by Python, and by Arrow, which opens files itself.
READS = """
import os, sys
import pyarrow.parquet as pq
opened = set()
def note(event, arguments):
    if event in ("open", "os.scandir", "os.listdir") and isinstance(arguments[0], str):
        opened.add(os.path.abspath(arguments[0]))
whole = pq.ParquetFile
pq.ParquetFile = lambda path, **more: (opened.add(os.path.abspath(path)), whole(path, **more))[1]
from llm4rec_recbole.cli.run import llm4rec
sys.addaudithook(note)
codes = [llm4rec(words) for words in {commands}]
print()
print(*sorted(opened), sep="\\n")
sys.exit(max(codes))
"""


@pytest.fixture(scope="module")
def results_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs of two methods on two data sets, tested."""
    top = tmp_path_factory.mktemp("reads")
    for folder, dataset in (("results", "ml-100k"), ("benchmarks/results/beauty", "beauty")):
        for method, middle in (("EnhancedGenRec", 9), ("BPR", 20)):
            add_run(top / folder, method, ranks_around(middle), dataset=dataset)
    for name in ("paper_tables", "docs"):
        (top / name).mkdir()
    command = [sys.executable, "-m", f"{PACKAGE}.cli", "compare"]
    subprocess.run(command, cwd=top, check=True)
    return top


def test_baselines_do_not_depend_on_the_paper_s_models() -> None:
    for stage in ("train_deterministic", "train_baseline"):
        models = [dep for dep in named_code(stage) if "/models" in dep]
        assert models == [f"{PACKAGE}/models/baselines.py"]


def test_commands_run_the_code_beside_them() -> None:
    """A queued experiment has a copy of the code: a console script would run another one."""
    for name in STAGES:
        for command in commands(name):
            command = command.removeprefix("OMP_NUM_THREADS=1 ")
            assert command.startswith(f"python -m {PACKAGE}."), name


def test_dvc_yaml_is_short_and_describes_each_stage() -> None:
    assert len((TOP / "dvc.yaml").read_text().splitlines()) <= 170
    assert [name for name, stage in STAGES.items() if not stage.get("desc")] == []


def test_closure_follows_imports_inside_functions() -> None:
    """training/run.py imports record_writer.py, and that imports ranking.py."""
    names = {path.name for path in closure([f"{PACKAGE}.training.run"])}
    assert {"run.py", "record_writer.py", "ranking.py"} <= names


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
    """The package's files that `roots` import, themselves included, wherever the import stands.

    Of a root "module:function" the imports of other functions do not count.
    """
    assert all(source(root) for root in roots), roots
    waiting, seen = list(roots), set()
    while waiting:
        name = waiting.pop()
        if name == f"{PACKAGE}.cli.run" and name not in roots:
            continue  # the dispatcher, which a module of cli imports to start itself
        if name not in seen and (path := source(name)) is not None:
            seen.add(name)
            waiting.extend(imports(path, name.partition(":")[2]))
    return {path for name in seen if (path := source(name)) and must_be_named(path)}


def source(module: str) -> Path | None:
    path = TOP / module.partition(":")[0].replace(".", "/")
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def imports(path: Path, function: str = "") -> list[str]:
    names = []
    for node in executed(parse(path), function):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    parents = [name.rsplit(".", depth)[0] for name in names for depth in range(3)]
    return [name for name in parents if name.startswith(PACKAGE + ".")]


def executed(module: ast.Module, function: str) -> list[ast.AST]:
    """All nodes; with `function`, those outside of functions, in it, and in those it names."""
    functions = {n.name: n for n in module.body if isinstance(n, ast.FunctionDef)}
    if not function:
        return [*ast.walk(module)]
    nodes = [x for n in module.body if not isinstance(n, ast.FunctionDef) for x in ast.walk(n)]
    waiting, seen = [function], set()
    while waiting:
        name = waiting.pop()
        if name in functions and name not in seen:
            seen.add(name)
            body = [*ast.walk(functions[name])]
            nodes += body
            waiting += [node.id for node in body if isinstance(node, ast.Name)]
    return nodes
