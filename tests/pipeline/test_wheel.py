"""The wheel: property files and both commands, away from any checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel, and nothing else of the project, was installed into."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    subprocess.run([*build, str(folder)], cwd=TOP, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    target = folder / "site"
    subprocess.run([*pip, "--no-deps", "--target", str(target), str(wheel)], check=True)
    with zipfile.ZipFile(wheel) as archive:
        assert "llm4rec_recbole/properties/model/SASRec.yaml" in archive.namelist()
        assert "llm4rec_recbole/py.typed" in archive.namelist()
    return target


def run(site: Path, folder: Path, *command: str) -> str:
    path = f"{site / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PYTHONPATH": str(site), "PATH": path}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_commands_and_property_files_work_in_another_folder(site: Path, tmp_path: Path) -> None:
    where = "import llm4rec_recbole.config as p; print(p.folder())"
    assert run(site, tmp_path, sys.executable, "-c", where).startswith(str(site))
    assert "SASRec" in run(site, tmp_path, "run_recbole", "--help")
    assert "status" in run(site, tmp_path, "llm4rec", "--help")
    output = run(site, tmp_path, "run_recbole", "--model=EASE", "--dataset=ml-100k")
    assert "work/runs/ml-100k/loo/EASE/seed_0.json" in output
    assert (tmp_path / "work/runs/ml-100k/loo/EASE/seed_0.json").is_file()
