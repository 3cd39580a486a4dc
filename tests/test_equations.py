"""docs/equations.md names one function for each equation of the paper, and each says so itself."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
ROW = re.compile(r"^\| (\d+) \| [^|]+ \| `([\w.]+)` \| `([\w/.]+)` \|$", re.MULTILINE)
PAGE = (TOP / "docs" / "equations.md").read_text(encoding="utf-8")
EQUATIONS = [(int(number), name, file) for number, name, file in ROW.findall(PAGE)]
#: Other names in backquotes of the page, with the file where they are defined.
OTHERS = re.findall(r"^\| [^|]+ \| `(\w+)` \| `([\w/.]+\.py)` \|$", PAGE, re.MULTILINE)


def docstring(name: str, file: str) -> str:
    """The docstring of the function or class `name` ("Class.method" too) in `file`."""
    body = ast.parse((TOP / "llm4rec_recbole" / file).read_text(encoding="utf-8")).body
    *owners, last = name.split(".")
    for owner in owners:
        body = next(n.body for n in body if isinstance(n, ast.ClassDef) and n.name == owner)
    nodes = [n for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == last]
    assert len(nodes) == 1, f"{file} has {len(nodes)} definitions of {name}"
    return ast.get_docstring(nodes[0]) or ""


def test_every_equation_of_the_paper_has_one_row() -> None:
    assert [number for number, _, _ in EQUATIONS] == list(range(1, 34))
    assert len({name for _, name, _ in EQUATIONS}) == 33


@pytest.mark.parametrize(("number", "name", "file"), EQUATIONS)
def test_the_docstring_begins_with_the_equation(number: int, name: str, file: str) -> None:
    assert re.match(rf"Eq\. \(?{number}\)?\b", docstring(name, file))


@pytest.mark.parametrize(("name", "file"), OTHERS)
def test_what_is_beyond_the_paper_exists(name: str, file: str) -> None:
    assert docstring(name, file)


def test_the_page_lists_what_is_beyond_the_paper() -> None:
    assert len(OTHERS) >= 7
