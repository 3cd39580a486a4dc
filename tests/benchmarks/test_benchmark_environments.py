from __future__ import annotations

import subprocess

import pytest

from benchmarks import environments


@pytest.fixture
def installs(monkeypatch, tmp_path):
    """Folders stand in for installations; the list grows by each command that would run."""
    commands = []

    def run(command, **options):
        commands.append([str(word) for word in command])
        (tmp_path / "envs" / "peer").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(environments, "HERE", tmp_path)
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path / "envs")
    monkeypatch.setattr(subprocess, "run", run)
    (tmp_path / "requirements-peer.txt").write_text("peer==1\n")
    return commands


def test_an_environment_is_installed_once(installs, tmp_path):
    python = environments.python_of("peer")
    assert python == tmp_path / "envs" / "peer" / "bin" / "python"
    assert [command[1:3] for command in installs] == [["-m", "venv"], ["-m", "pip"]]
    environments.python_of("peer")
    assert len(installs) == 2


def test_changed_requirements_are_installed_anew(installs, tmp_path):
    environments.python_of("peer")
    (tmp_path / "requirements-peer.txt").write_text("peer==2\n")
    environments.python_of("peer")
    assert len(installs) == 4


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
    assert len(installs) == 3
