"""Fixtures of all tests, and Hypothesis without deadlines, which a busy machine would miss."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import settings

from tests.helpers.trained_models import adaptive, cycle_data, trained_options  # noqa: F401
from tests.helpers.two_cycles import only_read_options, options, two_cycles  # noqa: F401

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test in its own folder, without pytest's arguments.

    RecBole writes `log/` and `saved/` where it runs, and reads `sys.argv`.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["test"])
