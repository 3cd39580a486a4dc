"""Small data sets in RecBole's atomic files, written by a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """write(inter=[...rows], item=[...rows]): atomic files of a data set named `tiny`."""

    def write_files(**tables: list[str]) -> Path:
        folder = tmp_path / "dataset" / "tiny"
        folder.mkdir(parents=True, exist_ok=True)
        for kind, rows in tables.items():
            lines = [row.replace(" | ", "\t") for row in rows]
            (folder / f"tiny.{kind}").write_text("\n".join(lines) + "\n")
        return folder

    return write_files


@pytest.fixture
def dataset() -> Callable[..., Any]:
    """dataset(model, **options): RecBole's data set `tiny`, before it is split."""

    def make(model: str = "BPR", **options: Any) -> Any:
        from recbole.config import Config
        from recbole.data import create_dataset

        options = {"load_col": None, "train_neg_sample_args": None} | options
        return create_dataset(Config(model, "tiny", config_dict=options))

    return make
