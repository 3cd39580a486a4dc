"""A folder of its own for each test, with the data set `shop` in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.helpers.small_shop import rows, write


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, with the data set `shop` in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run_recbole"])
    write("shop/shop.inter", rows())
