from __future__ import annotations

import numpy as np

from benchmarks.data import write_for_workers


def test_workers_get_the_exact_order_split(tmp_path):
    split = write_for_workers(tmp_path / "data.npz")
    data = np.load(tmp_path / "data.npz")
    trained = set(zip(data["train_users"].tolist(), data["train_items"].tolist()))
    tested = set(zip(data["users"].tolist(), data["targets"].tolist()))
    seen = set(zip(data["history_users"].tolist(), data["history_items"].tolist()))
    validated = set(zip(split.valid.users.tolist(), split.valid.targets.tolist()))
    assert len(tested) == 943
    assert len(trained) == 100_000 - 2 * 943
    assert not tested & seen
    assert seen == trained | validated  # what RecTools may recommend from, but not train on
