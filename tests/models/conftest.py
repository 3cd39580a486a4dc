"""A data set with a known answer, written as RecBole's atomic files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

N_ITEMS, N_USERS, LENGTH = 40, 60, 14


def next_item(item: int) -> int:
    """The rule of the data: items 0, 2, 4, … and 1, 3, 5, … are two rings that users walk along."""
    return (item + 2) % N_ITEMS


@pytest.fixture(scope="session")
def rings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with `rings`: each user walks along one ring from a random item on."""
    folder = tmp_path_factory.mktemp("data") / "rings"
    folder.mkdir()
    random = np.random.default_rng(0)
    rows = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user in range(N_USERS):
        item = int(random.integers(N_ITEMS))
        for time in range(LENGTH):
            rows.append(f"u{user}\ti{item}\t5\t{1_000_000_000 + 60 * time + user % 7}")
            item = next_item(item)
    (folder / "rings.inter").write_text("\n".join(rows) + "\n")
    return folder.parent


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RecBole writes `log/` where it runs, and reads pytest's own arguments."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["test"])


@pytest.fixture
def options(rings: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "data_path": str(rings),
        "results_dir": str(tmp_path / "results"),
        "checkpoint_dir": str(tmp_path / "checkpoints"),
        "load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"]},
        "show_progress": False,
        "quiet": True,
        "threads": 1,
        "epochs": 40,
        "eval_step": 5,
        "stopping_step": 3,
        "train_batch_size": 64,
        "learning_rate": 0.01,
        "MAX_ITEM_LIST_LENGTH": 10,
        "hidden_size": 16,
        "inner_size": 32,
        "embedding_size": 16,
        "k": 10,
    }
