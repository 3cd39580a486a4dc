"""A checkout in a temporary folder whose dvc.yaml is the project's own, with fake commands."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.checkout import TOP, Checkout

COPIED = (
    "llm4rec_recbole",
    "properties",
    "paper_tables/printed",
    "dvc.yaml",
    "requirements.lock",
    "Makefile",
)
HIDDEN = (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore")
#: Modules that stages start, but those of the pipeline itself: fake_commands.py stands for them.
MODULES = r"python -m llm4rec_recbole\.(?!pipeline)(?:\w+\.)*(\w+)"


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    for name in (*COPIED, *HIDDEN):
        source, target = TOP / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    shutil.copy(TOP / "tests/helpers/fake_commands.py", tmp_path)
    (tmp_path / "fake").mkdir()
    pipeline = tmp_path / "dvc.yaml"
    text = pipeline.read_text()
    faked = text.replace("python -m llm4rec_recbole.cli ", "python fake_commands.py ")
    pipeline.write_text(re.sub(MODULES, r"python fake_commands.py \1", faked))
    for name in ("explanations", "faithfulness", "replay"):  # a clone has them, from git
        (tmp_path / "results" / name).mkdir(parents=True)
    for name in ("benchmarks/results/README.md", "docs/index.md"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("of other runs")
    made = Checkout(tmp_path)
    made.write_params()
    made.run("git", "init", "--quiet")
    (tmp_path / ".git/info/exclude").write_text("/fake/\n")
    made.run("git", "config", "user.email", "test@localhost")
    made.run("git", "config", "user.name", "test")
    made.run("git", "add", "--all")
    made.run("git", "commit", "--quiet", "--message", "start")
    yield made
    for process in made.started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
