from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.performance import environments


@pytest.fixture
def installs(monkeypatch, tmp_path):
    """Folders stand in for installations; the list grows by each command that would run."""

    class Installs(list):
        cuda = False  # whether torch lacks libraries of its own

    commands = Installs()

    def run(command, **options):
        (tmp_path / "envs" / "peer").mkdir(parents=True, exist_ok=True)
        commands.append([str(word) for word in command])
        failed = command[-1] == "import torch" and commands.cuda
        return subprocess.CompletedProcess(command, returncode=int(failed))

    monkeypatch.setattr(environments, "HERE", tmp_path)
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path / "envs")
    monkeypatch.setattr(subprocess, "run", run)
    (tmp_path / "requirements-peer.txt").write_text("peer==1\n")
    return commands


def _kinds(installs):
    """What each command was for, by its last word: a folder made, a file installed, …"""
    return [Path(command[-1]).name for command in installs]


def test_an_environment_is_installed_once(installs, tmp_path):
    python = environments.python_of("peer")
    assert python == tmp_path / "envs" / "peer" / "bin" / "python"
    assert _kinds(installs) == ["peer", "requirements-peer.txt", "import torch"]
    environments.python_of("peer")
    assert len(installs) == 3


def test_a_torch_that_lacks_libraries_gets_those_it_pins(installs):
    installs.cuda = True
    environments.python_of("peer")
    assert _kinds(installs)[2:] == ["import torch", "torch"]
    assert "--no-deps" not in installs[-1]


def test_changed_requirements_are_installed_again(installs, tmp_path):
    environments.python_of("peer")
    (tmp_path / "requirements-peer.txt").write_text("peer==2\n")
    environments.python_of("peer")
    assert len(installs) == 6


def test_an_installation_that_failed_is_started_again(installs, monkeypatch):
    run = subprocess.run

    def fail(command, **options):
        run(command)
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(subprocess.CalledProcessError):
        environments.python_of("peer")
    monkeypatch.setattr(subprocess, "run", run)
    environments.python_of("peer")
    assert len(installs) == 4
