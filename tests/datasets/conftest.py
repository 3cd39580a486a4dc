from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm4rec_recbole.datasets.prepare import prepare
from tests.helpers.real_data import REAL_DATA, why_absent


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """`real_data("s3rec")` is that folder of the originals; without it, a skip."""

    def folder(name: str) -> Path:
        if reason := why_absent(name):
            pytest.skip(reason)
        return REAL_DATA / name

    return folder


@pytest.fixture
def full_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`full_at(2)`: the disk takes one file more, and is full when the second is to reach it."""

    def set_up(nth: int) -> None:
        fsync, synced = os.fsync, []

        def full(handle: int) -> None:
            synced.append(handle)
            if len(synced) == nth:
                raise OSError(28, "No space left on device")
            fsync(handle)

        monkeypatch.setattr("os.fsync", full)

    return set_up


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[[str, Path], tuple[dict[str, Any], dict[str, Any]]]:
    """`prepared(dataset, raw)` prepares the data set from its raw files, and returns the summary
    and what became of the rows. Every row is accounted for."""

    def run(dataset: str, raw: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        summary = prepare(dataset, tmp_path / "out", tmp_path / "dataset", raw)
        report = json.loads((tmp_path / "dataset" / dataset / "raw.json").read_text())
        for rows in report["rows"].values():
            assert rows["read"] == rows["kept"] + sum(rows["dropped"].values())
        return summary, report["rows"]

    return run
