"""The structure of the package: imports run down, no cycles, few files a folder, plain words."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
PACKAGE = "llm4rec_recbole"
#: Lowest first: a folder may import what stands before it. "." holds the package's own modules.
ORDER = [
    ".", "recbole_compat", "data", "datasets", "language_models", "decoding", "components",
    "evaluation", "training", "models", "inference", "recbole_plugin", "analysis", "pipeline",
    "reporting", "cli",
]  # fmt: skip
MAX_FILES = 15
MAX_LINES = 330
#: Words that no identifier may contain, as a whole part between underscores or capitals.
BANNED_NAMES = {
    "mend", "mends", "mended", "take", "tally", "swap", "swapped", "keep", "kept", "told", "asked",
    "chance", "ways", "wider", "ceiling", "durable", "scratch", "rings", "toy", "said", "spelt",
    "those", "places", "heard", "gatherer", "knowledge", "shadow", "locate", "home", "arithmetic",
    "caution", "erasure", "summed", "findings", "foretell", "heeded", "pull", "borne", "moment",
}  # fmt: skip
#: Phrases that no sentence may contain.
BANNED_PROSE = re.compile(
    r"\b(mend(s|ed|ing)?|told|foretells?|foretold|borne out|tall(y|ies)|th(ose|at) of which|"
    r"gone on with|parted by|be had|stands? on two rows|is no more|comes? to stand|tells? of)\b",
    re.IGNORECASE,
)


@cache
def modules() -> dict[str, Path]:
    """Dotted name → file, for every module of the package."""
    return {
        ".".join(path.relative_to(TOP).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (TOP / PACKAGE).rglob("*.py")
    }


@cache
def imports() -> dict[str, set[str]]:
    """Module → modules of the package that it imports, inside functions too."""
    graph: dict[str, set[str]] = defaultdict(set)
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                full = [f"{node.module}.{alias.name}" for alias in node.names]
                targets = [target if target in modules() else node.module for target in full]
            else:
                continue
            graph[name] |= {t for t in targets if t in modules() and t not in (name, PACKAGE)}
    return graph


def folder(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (TOP / PACKAGE / parts[1]).is_dir() else "."


def test_every_folder_has_a_rank() -> None:
    assert {folder(name) for name in modules()} == set(ORDER)


def test_imports_run_down() -> None:
    rank = {name: number for number, name in enumerate(ORDER)}
    upward = [
        f"{name} imports {target}"
        for name, targets in imports().items()
        for target in targets
        if rank[folder(target)] > rank[folder(name)]
        and not (name == PACKAGE and folder(target) == "recbole_compat")  # starts the patches
    ]
    assert upward == []


def test_no_two_files_import_each_other() -> None:
    graph = imports()

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting.extend(graph[name])
        return seen

    assert [name for name in list(graph) if name in reachable(name)] == []


def test_no_folder_holds_many_files() -> None:
    counts: dict[Path, int] = defaultdict(int)
    for path in modules().values():
        counts[path.parent] += path.name != "__init__.py"
    assert {str(path): n for path, n in counts.items() if n > MAX_FILES} == {}


def test_no_module_is_long() -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in modules().items()}
    assert {name: n for name, n in lengths.items() if n > MAX_LINES} == {}


def test_every_module_says_what_it_is() -> None:
    texts = {name: path.read_text(encoding="utf-8") for name, path in modules().items()}
    assert [name for name, text in texts.items() if not ast.get_docstring(ast.parse(text))] == []


def python_files() -> list[Path]:
    folders = (PACKAGE, "tests", "benchmarks")
    files = [path for name in folders for path in sorted((TOP / name).rglob("*.py"))]
    return [path for path in files if path != Path(__file__)]


def words(identifier: str) -> set[str]:
    return set(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", identifier).lower().split("_"))


def identifiers(path: Path) -> set[str]:
    """Names that a file defines: functions, classes, parameters, variables, and its own.

    A function that replaces one of RecBole (@wrap, @override) has RecBole's name.
    """
    names = {path.stem}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            decorators = {
                ast.unparse(decorator).partition("(")[0] for decorator in node.decorator_list
            }
            is_sentence = node.name.startswith("test_")
            if not is_sentence and not decorators & {"wrap", "override"}:
                names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


@pytest.mark.parametrize("path", python_files(), ids=lambda path: str(path.relative_to(TOP)))
def test_identifiers_use_the_words_of_the_field(path: Path) -> None:
    assert {name for name in identifiers(path) if words(name) & BANNED_NAMES} == set()


def prose_of(path: Path) -> str:
    """A file's sentences: the text of a page; comments and strings of a module."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text
    kinds = (tokenize.COMMENT, tokenize.STRING)
    return "\n".join(
        token.string
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type in kinds
    )


def pages() -> list[Path]:
    docs = sorted((TOP / "docs").rglob("*.md"))
    yaml = sorted((TOP / "properties").rglob("*.yaml"))
    return [TOP / "README.md", TOP / "dvc.yaml", TOP / "Makefile", *docs, *yaml]


@pytest.mark.parametrize(
    "path", [*python_files(), *pages()], ids=lambda path: str(path.relative_to(TOP))
)
def test_prose_is_plain(path: Path) -> None:
    assert [match[0] for match in BANNED_PROSE.finditer(prose_of(path))] == []


def test_the_checks_can_fail(tmp_path: Path) -> None:
    module = tmp_path / "tally_rows.py"
    module.write_text("# As the log told us.\ndef keep_rows(asked):\n    swapped = asked\n")
    bad = {name for name in identifiers(module) if words(name) & BANNED_NAMES}
    assert bad == {"tally_rows", "keep_rows", "asked", "swapped"}
    assert [match[0] for match in BANNED_PROSE.finditer(prose_of(module))] == ["told"]
