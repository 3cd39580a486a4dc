"""A checkout in a temporary folder, to run DVC in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

TOP = Path(__file__).parents[2]
PARAMS = {
    "datasets": ["ml-100k"],
    "protocols": ["loo"],
    "methods": {
        "deterministic": ["Pop"],
        "baseline": ["BPR", "SASRec"],
        "generative": [],
        "nulls": [],
        "sums": [],
        "ours": [],
        "parts": [],
    },
    "explained": [],
    "seeds": [0],
    "seeds_of_parts": [0],
    "seeds_of_generative": [0],
    "scale": "smoke",
}


class Checkout:
    """A folder with a pipeline of three fake runs: Pop, BPR and SASRec."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own."""
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.started.append(process)
        return process

    def run(self, *command: str, code: int = 0) -> str:
        process = self.start(*command)
        output, _ = process.communicate(timeout=900)  # a machine may have other work
        assert process.returncode == code, output
        return output

    def status(self, code: int = 0) -> str:
        """What `llm4rec status` prints."""
        return self.run(sys.executable, "-m", "llm4rec_recbole.cli", "status", code=code)

    def dvc(self, *arguments: str, code: int = 0) -> str:
        return self.run("dvc", *arguments, code=code)

    def make_repro(self, code: int = 0) -> str:
        """The recipe of `make repro`, with the environment that runs the tests."""
        return self.run("make", "pipeline", f"VENV={sys.prefix}", code=code)

    def read_until(self, process: subprocess.Popen[str], text: str) -> str:
        """What the process prints, up to the line that holds `text`."""
        output = ""
        assert process.stdout is not None
        while text not in output:
            line = process.stdout.readline()
            assert line, output
            output += line
        return output

    def table(self) -> list[str]:
        """What the fake stage `tables` read."""
        text = (self.folder / "paper_tables" / "table_1.md").read_text()
        return [line.strip() for line in text.splitlines()]

    def ran(self) -> list[str]:
        """Methods in the order in which their runs were started."""
        log = self.folder / "fake" / "log"
        return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []

    def control(self, what: str) -> Path:
        """Make a fake run fail or wait: `fail_BPR`, `hold_BPR`, until the file is removed."""
        path = self.folder / "fake" / what
        path.touch()
        return path

    def write_params(self, **changes: object) -> dict[str, Any]:
        """Write params.yaml and return it; a group of methods that is not given is empty."""
        params = PARAMS | changes
        params["methods"] = {group: [] for group in PARAMS["methods"]} | params["methods"]
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params))
        return params

    def commit(self, message: str = "results") -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def clone(self, folder: Path) -> Checkout:
        """A fresh clone: what git holds, and nothing else."""
        self.run("git", "clone", "--quiet", str(self.folder), str(folder))
        made = Checkout(folder)
        (folder / "fake").mkdir()
        (folder / ".git/info/exclude").write_text("/fake/\n")
        return made

    def use_real_commands(self) -> None:
        shutil.copy(TOP / "dvc.yaml", self.folder)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "waited for two minutes"
        time.sleep(0.02)
