"""The documentation: no link leads nowhere, and the site builds without a warning."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
PAGES = [TOP / "README.md", *sorted((TOP / "docs").rglob("*.md"))]
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def headings(page: Path) -> set[str]:
    """Anchors that GitHub and mkdocs give a page's headings."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in headings(target)):
            broken.append(link)
    assert broken == []


def test_the_tests_that_the_docs_name_exist() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", pages)
    assert len(named) > 30
    for file, name in named:
        assert f"def {name}(" in (TOP / file).read_text(encoding="utf-8"), f"{file}::{name}"


def test_every_page_is_in_the_navigation() -> None:
    navigation = (TOP / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [str(page.relative_to(TOP / "docs")) for page in PAGES[1:]]
    assert [page for page in pages if f": {page}\n" not in navigation] == []


def test_readme_is_short() -> None:
    text = (TOP / "README.md").read_text(encoding="utf-8")
    words = [word for word in text.split() if re.search(r"\w", word)]  # not a table's bars
    assert len(words) <= 700


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mkdocs") is None, reason="the extra [docs] is not installed")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "index.html").is_file()
