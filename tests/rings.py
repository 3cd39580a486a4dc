"""A data set with a known answer, as RecBole's atomic files, and options to train on it fast.

Use: `from rings import options, own_folder, rings` in an area's conftest.py.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.option_readers import fixed_options, read_options

N_ITEMS, N_USERS, LENGTH = 40, 60, 14


@pytest.fixture(scope="session")
def rings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with `rings`: even items and odd items are two rings, and each user walks along
    one of them, from a random item on: item i is followed by i + 2."""
    folder = tmp_path_factory.mktemp("data") / "rings"
    folder.mkdir()
    first = np.random.default_rng(0).integers(N_ITEMS, size=N_USERS)
    rows = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for step in range(LENGTH):  # a user's last row comes after all items have been seen once, so
        for user in range(N_USERS):  # that changing it does not change RecBole's numbering
            item, time = (first[user] + 2 * step) % N_ITEMS, 1_000_000_000 + 60 * step + user % 7
            rows.append(f"u{user}\ti{item}\t5\t{time}")
    (folder / "rings.inter").write_text("\n".join(rows) + "\n")
    return folder.parent


def one_history(items: np.ndarray, asked: float) -> HeldOut:
    """User 1 with `items`, ids of `rings`, all seen at `asked`."""
    return HeldOut(
        users=np.array([1]),
        targets=np.array([1]),
        indptr=np.array([0, len(items)]),
        items=items,
        times=np.full(len(items), asked),
        n_items=N_ITEMS + 1,
    )


#: Values of the fixture `options` that some models read and others do not.
SHARED = {
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


def read_by(model: str, options: dict[str, Any]) -> dict[str, Any]:
    """`options` without those of SHARED that a run of `model` would refuse."""
    protocol = options.get("protocol", "loo")
    read = read_options(model, protocol) - set(fixed_options(model, protocol))
    return {name: value for name, value in options.items() if name in read or name not in SHARED}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RecBole writes `log/` where it runs, and reads pytest's own arguments. A run refuses options
    that it does not read, so each model gets those of the fixture `options` that it reads."""
    from llm4rec_recbole.training import checks, run

    def checked_config(model: str, dataset: str, files: Any = (), options: Any = None) -> Any:
        return checks.checked_config(model, dataset, files, read_by(model, dict(options or {})))

    monkeypatch.setattr(run, "checked_config", checked_config)
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
        "num_threads": 1,
        **SHARED,
    }
