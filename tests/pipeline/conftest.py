"""A scratch checkout whose dvc.yaml is the project's own, with quick commands in it."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from scratch import TOP, Checkout

COPIED = (
    "llm4rec_recbole",
    "properties",
    "paper_tables",
    "dvc.yaml",
    "requirements.lock",
    "Makefile",
)
HIDDEN = (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore")
MODULES = r"python -m llm4rec_recbole\.(?:data|datasets|encoders|language_models|cli)\.(\w+)"


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    for name in (*COPIED, *HIDDEN):
        source, target = TOP / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    shutil.copy(Path(__file__).with_name("stub.py"), tmp_path)
    (tmp_path / "stub").mkdir()
    pipeline = tmp_path / "dvc.yaml"
    stubbed = re.sub(MODULES, r"python stub.py \1", pipeline.read_text())
    stubbed = stubbed.replace(" run_recbole ", " python stub.py run_recbole ")
    pipeline.write_text(stubbed.replace(" llm4rec ", " python stub.py "))
    for name in ("explanations", "faithfulness", "replay"):  # a clone has them, from git
        (tmp_path / "results" / name).mkdir(parents=True)
    made = Checkout(tmp_path)
    made.write_params()
    made.run("git", "init", "--quiet")
    made.run("git", "config", "user.email", "test@localhost")
    made.run("git", "config", "user.name", "test")
    made.run("git", "add", "--all")
    made.run("git", "commit", "--quiet", "--message", "start")
    yield made
    for process in made.started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
