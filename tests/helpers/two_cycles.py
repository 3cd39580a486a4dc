"""A data set with a known answer, as RecBole's atomic files, and options to train on it fast."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.option_readers import fixed_options, read_options
from llm4rec_recbole.registry import ENHANCED_GENREC, variant

N_ITEMS, N_USERS, LENGTH = 40, 60, 14


@pytest.fixture(scope="session")
def two_cycles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the data set `two_cycles`.

    Even items form one cycle and odd items the other: item i is followed by i + 2. Each user walks
    along one cycle from a random item."""
    folder = tmp_path_factory.mktemp("data") / "two_cycles"
    folder.mkdir()
    first = np.random.default_rng(0).integers(N_ITEMS, size=N_USERS)
    rows = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    # A user's last row comes after every item occurred once, so that a change of it does not
    # change RecBole's numbering.
    for step in range(LENGTH):
        for user in range(N_USERS):
            item, time = (first[user] + 2 * step) % N_ITEMS, 1_000_000_000 + 60 * step + user % 7
            rows.append(f"u{user}\ti{item}\t5\t{time}")
    (folder / "two_cycles.inter").write_text("\n".join(rows) + "\n")
    return folder.parent


def one_history(items: np.ndarray, query_time: float) -> HeldOut:
    """A history of user 1: `items`, ids of `two_cycles`, all at `query_time`."""
    return HeldOut(
        users=np.array([1]),
        targets=np.array([1]),
        indptr=np.array([0, len(items)]),
        items=items,
        times=np.full(len(items), query_time),
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
    """`options` without those of SHARED that a run of `model` would refuse, and without those of
    EnhancedGenRec's components that are off."""
    protocol = options.get("protocol", "loo")
    read = read_options(model, protocol) - set(fixed_options(model, protocol))
    base, its_options = variant(model) if isinstance(model, str) else ("", {})
    off: dict[str, str] = {}
    if base in ENHANCED_GENREC:
        from llm4rec_recbole.models.enhanced_genrec import model as enhanced

        config = {"components": None} | its_options | options
        with suppress(InputError):  # the run refuses the components itself
            off = getattr(enhanced, base).options_without_reader(config)
    return {
        name: value
        for name, value in options.items()
        if name not in off and (name in read or name not in SHARED)
    }


@pytest.fixture
def only_read_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each model only the options that it reads, since a run refuses the others."""
    from llm4rec_recbole.training import checks, run

    def checked_config(model: str, dataset: str, files: Any = (), options: Any = None) -> Any:
        return checks.checked_config(model, dataset, files, read_by(model, dict(options or {})))

    monkeypatch.setattr(run, "checked_config", checked_config)


@pytest.fixture
def options(two_cycles: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "data_path": str(two_cycles),
        "results_dir": str(tmp_path / "results"),
        "checkpoint_dir": str(tmp_path / "checkpoints"),
        "load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"]},
        "show_progress": False,
        "quiet": True,
        "num_threads": 1,
        **SHARED,
    }
