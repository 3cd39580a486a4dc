"""RecBole's data sets are the same to the last bit, read from the file or from its cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llm4rec_recbole.data import atomic, table_cache
from llm4rec_recbole.data.atomic import read_atomic

HEADER = "user_id:token | item_id:token | group:token | rating:float | timestamp:float"


@pytest.fixture
def inter(write: Callable) -> Path:
    random = np.random.default_rng(0)
    rows = [
        f"u{random.integers(9)} | i{random.integers(20)} | {random.choice(['NA', 'x', 'y', ''])}"
        f" | {random.choice([0.1, 3.5, 5])} | {881_250_949 + random.integers(30)}"
        for _ in range(300)
    ]
    items = [f"i{n} | a b{n}" for n in range(30)]  # some are in no row
    folder = write(inter=[HEADER, *rows], item=["item_id:token | tags:token_seq", *items])
    return folder / "tiny.inter"


def contents(data: Any) -> dict[str, Any]:
    """Every table that RecBole made, and what every number in them stands for."""
    data._change_feat_format()
    tables = {"inter": data.inter_feat, "item": data.item_feat or {}}
    found: dict[str, Any] = {
        f"{name} {field}": table[field] for name, table in tables.items() for field in table
    }
    found |= {
        f"tokens of {field}": list(data.field2id_token[field]) for field in data.field2id_token
    }
    return found | {"types": data.field2type, "lengths": data.field2seqlen}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"load_col": {"inter": ["user_id", "item_id", "timestamp"]}},
        {"unload_col": {"inter": ["group"]}},
        {"rm_dup_inter": "first"},
        {"user_inter_num_interval": "[10,inf)", "val_interval": {"rating": "[1,inf)"}},
        {"filter_inter_by_user_or_item": True, "val_interval": {"group": ["x", "y"]}},
        {"alias_of_item_id": ["group"]},
    ],
)
def test_data_are_the_same_with_and_without_the_cache(
    inter: Path, dataset: Callable, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    without = contents(dataset(**options))
    monkeypatch.setattr(table_cache, "LEAST_BYTES", 0)
    table_cache._memory.clear()
    for path in (inter, inter.with_suffix(".item")):
        read_atomic(path)
    table_cache._memory.clear()
    monkeypatch.setattr(atomic, "_parse", lambda *given: pytest.fail("parsed again"))
    with_cache = contents(dataset(**options))
    assert list(with_cache) == list(without)
    for name, value in without.items():
        if isinstance(value, torch.Tensor):
            assert value.dtype == with_cache[name].dtype, name
            assert torch.equal(value, with_cache[name]), name
        else:
            assert value == with_cache[name], name


def test_no_interaction_is_counted_when_none_can_be_dropped(
    inter: Path, dataset: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    import recbole.data.dataset.dataset as module

    monkeypatch.setattr(module, "Counter", lambda *given: pytest.fail("counted"))
    dataset()
    with pytest.raises(pytest.fail.Exception):
        dataset(item_inter_num_interval="[2,inf)")


def test_interactions_of_unknown_users_and_items_are_dropped_and_else_not_copied(
    write: Callable, dataset: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    rows = ["a | i | 1", "b | i | 2", "a | j | 3", "a | k | 4"]
    header = "user_id:token | item_id:token | timestamp:float"
    tables = {"inter": [header, *rows], "item": ["item_id:token | t:token", "i | x", "k | y"]}
    write(**tables, user=["user_id:token", "a"])
    filtered = dataset(filter_inter_by_user_or_item=True)
    assert filtered.inter_feat["timestamp"].tolist() == [1.0, 4.0]
    assert "2 of 4 interactions are left out" in caplog.text
    whole = dataset(filter_inter_by_user_or_item=False)
    assert len(whole.inter_feat) == 4
    whole.config["filter_inter_by_user_or_item"] = True
    whole.user_feat = whole.item_feat = None
    before = whole.inter_feat
    whole._filter_inter_by_user_or_item()
    assert whole.inter_feat is before
