"""Fixtures: models trained on `two_cycles` with titles and colours, and their checkpoints."""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.two_cycles import read_by

#: Item i is `Ring i`, even ones are red, odd ones blue, every third is round, i39 has no title.
TITLES = [f"Ring {'abcdefghijklmnopqrst'[n // 2].upper() * (n % 2 + 1)}" for n in range(39)]


#: Options of an EnhancedGenRec that trains in a second.
SMALL = {
    "llm": "scratch-32x1",
    "llm_layers": 1,
    "llm_dtype": "float32",
    "text_encoder": "hash-16",
    "relation_reg": 10.0,
    "adaptation_rate": 1e-3,
    "epochs": 1,
}


@pytest.fixture(scope="session")
def cycle_data(two_cycles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `two_cycles` with titles and categories; user `lonely` has one interaction."""
    folder = tmp_path_factory.mktemp("titled") / "two_cycles"
    shutil.copytree(two_cycles / "two_cycles", folder)
    with open(folder / "two_cycles.inter", "a") as file:
        file.write("lonely\ti1\t5\t1000000000\n")
    rows = ["item_id:token\tmovie_title:token_seq\tclass:token_seq"]
    for n, title in enumerate([*TITLES, "unknown"]):
        classes = ("Blue" if n % 2 else "Red") + (" Round" if n % 3 == 0 else "")
        rows.append(f"i{n}\t{title}\t{classes}")
    (folder / "two_cycles.item").write_text("\n".join(rows) + "\n")
    return folder.parent


@pytest.fixture(scope="session")
def trained_options(cycle_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Options the models were trained with: `checkpoint_dir` and `results_dir` hold their files."""
    folder = tmp_path_factory.mktemp("trained")
    options = {
        "data_path": str(cycle_data),
        "results_dir": str(folder / "results"),
        "checkpoint_dir": str(folder / "checkpoints"),
        "load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"]},
        "show_progress": False,
        "quiet": True,
        "num_threads": 1,
        "epochs": 2,
        "eval_step": 1,
        "train_batch_size": 64,
        "MAX_ITEM_LIST_LENGTH": 10,
        "hidden_size": 16,
        "inner_size": 32,
        "embedding_size": 16,
    }
    from llm4rec_recbole.training.run import run

    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["test"])
        for model in ("EASE", "BPR", "SASRec"):
            run(model, "two_cycles", options=read_by(model, options))
    return options


@pytest.fixture(scope="session")
def adaptive(trained_options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of an EnhancedGenRec, which learns from events, after an epoch."""
    from llm4rec_recbole.inference.restore import newest_checkpoint
    from llm4rec_recbole.training.run import run

    folder = tmp_path_factory.mktemp("adaptive")
    options = trained_options | SMALL | {"checkpoint_dir": str(folder / "checkpoints")}
    options["adaptation_feedback"] = "explicit"  # always, whatever a replay gains
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["test"])
        run("EnhancedGenRec", "two_cycles", options=read_by("EnhancedGenRec", options))
        return newest_checkpoint(folder / "checkpoints", "EnhancedGenRec", "two_cycles")


def scores_of(trained: Any, held_out: Any) -> np.ndarray:
    """Scores of all items for all rows of `held_out`."""
    trained.model.eval()
    return trained.model.score_histories(held_out, np.arange(len(held_out)))
