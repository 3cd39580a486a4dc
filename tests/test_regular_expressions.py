"""No regular expression of the package needs time quadratic in the length of its input."""

from __future__ import annotations

import ast
import importlib
import re
import signal
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4rec_recbole.data.features import clean_title

PACKAGE = Path(__file__).parents[1] / "llm4rec_recbole"
METHODS = {"match", "fullmatch", "search", "sub", "findall", "finditer", "split"}
LENGTH = 1_000_000
SECONDS = 20  # of CPU time; a quadratic one needs an hour
#: They read short text only: files of this project, and what a model writes in 48 tokens.
SHORT_INPUT = {"registry", "reporting.summary", "components.explanation.writer"}
TOKENS = ["a", " ", "1", ",", ", ", "(", ")", "[", "<", ".", "'", '"', "_", "a ", "1,", "a, The ("]


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


@cache
def uses() -> dict[str, set[tuple[str, str, int]]]:
    """Module → (method, pattern, flags) of every use of a regular expression."""
    table = defaultdict(set)
    trees = {path: ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}
    names: dict[str, re.Pattern] = {}  # name of a compiled pattern → the pattern
    for path in trees:
        if "re.compile" in path.read_text():
            module = importlib.import_module(module_name(path))
            for name, value in vars(module).items():
                if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                    names[f"{module.__name__}.{name}"] = value
    for path, tree in trees.items():
        name = module_name(path)
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner, method = node.func.value, node.func.attr
            if method not in METHODS or not isinstance(owner, ast.Name):
                continue
            if owner.id == "re" and isinstance(node.args[0], ast.Constant):
                flags = re.MULTILINE if "MULTILINE" in ast.unparse(node) else 0
                flags |= re.DOTALL if "DOTALL" in ast.unparse(node) else 0
                table[name].add((method, node.args[0].value, flags))
            elif f"{name}.{owner.id}" in names:
                pattern = names[f"{name}.{owner.id}"]
                table[name].add((method, pattern.pattern, pattern.flags))
    return table


def cases() -> list[tuple[str, str, str, int]]:
    return sorted(
        (name.removeprefix("llm4rec_recbole."), *use)
        for name, every in uses().items()
        for use in every
        if isinstance(use[1], str) and name.removeprefix("llm4rec_recbole.") not in SHORT_INPUT
    )


def test_the_uses_are_found() -> None:
    assert {name for name, *_ in cases()} >= {"data.features", "datasets.readers.reviews"}
    assert len(cases()) >= 15


def seconds(method: str, pattern: re.Pattern, text: str, limit: float) -> float:
    """CPU seconds for the pattern on the text. Raises TimeoutError beyond the limit."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"{method} {pattern.pattern!r} on {text[:10]!r}…")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit)
    try:
        if method == "sub":
            pattern.sub("", text)
        elif method == "finditer":
            sum(1 for _ in pattern.finditer(text))
        else:
            getattr(pattern, method)(text)
        return limit - signal.getitimer(signal.ITIMER_VIRTUAL)[0]
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize(("module", "method", "pattern", "flags"), cases())
def test_a_million_characters_are_read_in_seconds(module, method, pattern, flags) -> None:
    compiled = re.compile(pattern, flags)
    for token in TOKENS:
        seconds(method, compiled, token * (LENGTH // len(token)), SECONDS)


def test_the_check_finds_a_quadratic_one() -> None:
    with pytest.raises(TimeoutError):
        seconds("sub", re.compile(r"([^()]+), (The|A)(?=\)|$| \()"), "a" * LENGTH, 0.5)


def test_a_title_of_a_million_characters_is_cleaned_in_seconds() -> None:
    for token in TOKENS:
        clean_title(token * (LENGTH // len(token)))


OLD = re.compile(r"([^()]+), (The|A|An|La|Le|Les|L'|Il|El|Der|Die|Das|Det|O)(?=\)|$| \()")
part = st.sampled_from(["a", " ", ", ", "The", "L'", "(", ")", ", The", " (", "O", ","])


@given(st.lists(part, max_size=12).map("".join))
def test_titles_are_cleaned_as_by_the_quadratic_expression(title: str) -> None:
    def article_first(match: re.Match) -> str:
        words, article = match.groups()
        return article + ("" if article.endswith("'") else " ") + words

    assert clean_title(title) == OLD.sub(article_first, title.strip())
