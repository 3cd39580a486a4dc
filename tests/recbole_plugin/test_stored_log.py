"""Data that start from the stored log are those of the file, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llm4rec_recbole.data import stored_log, table_cache
from llm4rec_recbole.datasets.prepare import prepare

HEADER = "user_id:token | item_id:token | rating:float | timestamp:float"
DATA: dict[str, Any] = {"load_col": None}


@pytest.fixture
def inter(write: Callable, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Users in turns, equal times, repeated pairs, items without interactions."""
    random = np.random.default_rng(0)
    rows = [
        f"u{random.integers(9)} | i{random.integers(25)} | {random.choice([0.1, 3.5, 5])}"
        f" | {881_250_949 + random.integers(60)}"
        for _ in range(300)
    ]
    items = [f"i{n} | a b{n}" for n in range(30)]
    folder = write(inter=[HEADER, *rows], item=["item_id:token | tags:token_seq", *items])
    monkeypatch.setattr(table_cache, "LEAST_BYTES", 0)
    return folder / "tiny.inter"


def store(inter: Path) -> Path:
    table_cache._memory.clear()
    prepare("tiny", inter.parent / "out", inter.parents[1])
    return stored_log.path_of(inter)


def parts(data: Any) -> Iterator[tuple[str, Any]]:
    """All that a run reads of the data and of their split."""
    from recbole.data.utils import data_preparation

    yield "types", data.field2type
    yield "tokens", {name: list(tokens) for name, tokens in data.field2id_token.items()}
    yield "size", (len(data), data.inter_num, data.item_num)
    torch.manual_seed(0)
    loaders = data_preparation(data.config, data)
    yield "length", len(loaders[0])
    for number, batch in enumerate(loaders[0]):
        yield from ((f"batch {number} {name}", batch[name]) for name in batch)
    for name, loader in zip(("train", "valid", "test"), loaders):
        table = loader._dataset.inter_feat
        yield f"rows of {name}", len(table)
        yield from ((f"{name} {field}", table[field]) for field in table)
    yield from ((f"all {field}", data.inter_feat[field]) for field in data.inter_feat)
    for name, loader in zip(("valid", "test"), loaders[1:]):
        own, rows = loader.held_out, np.arange(len(loader.held_out))
        for field in ("users", "targets", "indptr", "items", "times"):
            yield f"{name} held-out {field}", torch.from_numpy(getattr(own, field).copy())
        for field, arrays in (("last", own.last(rows, 3)), ("seen", own.seen(rows))):
            yield from ((f"{name} {field} {n}", torch.from_numpy(a)) for n, a in enumerate(arrays))
        yield f"{name} times", torch.from_numpy(loader.outcomes.times)
        yield f"{name} liked", None if (own := loader.outcomes.liked) is None else own.tolist()
        yield f"{name} counts", loader.dataset.train_counts.tolist()
        yield f"{name} users", loader.dataset.train_users


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert list(one) == list(other)
    for name, value in one.items():
        if isinstance(value, torch.Tensor):
            assert value.dtype == other[name].dtype, name
            assert torch.equal(value, other[name]), name
        else:
            assert value == other[name], name


@pytest.mark.parametrize("model", ["SASRec", "BERT4Rec", "GRU4Rec", "Pop"])
@pytest.mark.parametrize("protocol", ["loo", "temporal"])
@pytest.mark.parametrize("options", [{}, {"item_candidates": "interacted"}])
def test_the_split_is_the_same_from_the_file_and_from_the_stored_log(
    inter: Path, dataset: Callable, model: str, protocol: str, options: dict[str, Any]
) -> None:
    options = DATA | {"protocol": protocol} | options
    of_the_file = dict(parts(dataset(model, **options)))
    store(inter)
    data = dataset(model, **options)
    assert data.stored is not None
    same(of_the_file, dict(parts(data)))


@pytest.mark.parametrize(
    "options",
    [
        {"rm_dup_inter": "first"},
        {"val_interval": {"rating": "[1,inf)"}},
        {"user_inter_num_interval": "[30,inf)"},
        {"model": "FM", "normalize_field": ["rating"]},
        {"protocol": "recbole"},
    ],
)
def test_options_that_change_rows_or_values_read_the_file(
    inter: Path, dataset: Callable, options: dict[str, Any]
) -> None:
    without = {name: dataset(**DATA | options).inter_feat[name].tolist() for name in ("user_id",)}
    store(inter)
    data = dataset(**DATA | options)
    assert data.stored is None
    assert {name: data.inter_feat[name].tolist() for name in without} == without


def test_where_recbole_drops_rows_the_file_is_read(
    inter: Path, write: Callable, dataset: Callable
) -> None:
    write(item=["item_id:token | tags:token_seq", *(f"i{n} | a" for n in range(3, 30))])
    options = DATA | {"item_candidates": "interacted"}
    of_the_file = dict(parts(dataset("SASRec", **options)))
    store(inter)
    data = dataset("SASRec", **options)
    assert data.stored is None
    assert data.items_left_out == 5
    same(of_the_file, dict(parts(data)))


def test_other_tokens_of_the_interactions_are_read_from_the_file(
    inter: Path, write: Callable, dataset: Callable
) -> None:
    rows = [f"u{n % 3} | i{n} | g{n % 7} | {n}" for n in range(30)]
    write(inter=["user_id:token | item_id:token | group:token | timestamp:float", *rows])
    store(inter)
    data = dataset("SASRec")
    assert data.stored is None
    assert len(data.field2id_token["group"]) == 8


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text", "deep"])
def test_a_damaged_copy_is_reported_in_one_line_and_not_used(
    inter: Path, dataset: Callable, damage: str, capsys: pytest.CaptureFixture
) -> None:
    of_the_file = dict(parts(dataset("SASRec", **DATA)))
    copy = store(inter)
    whole = copy.read_bytes()
    middle = len(whole) // 2
    broken = {"flip": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]}
    broken |= {"cut": whole[:middle], "empty": b"", "text": b"a text\n", "deep": b"[" * 100_000}
    copy.write_bytes(broken[damage])
    capsys.readouterr()
    data = dataset("SASRec", **DATA)
    lines = [line for line in capsys.readouterr().err.splitlines() if copy.name in line]
    assert len(lines) == 1
    assert "the cache is not used: " in lines[0]
    assert data.stored is None
    same(of_the_file, dict(parts(data)))


def test_a_copy_of_an_earlier_file_is_not_used(inter: Path, dataset: Callable) -> None:
    store(inter)
    inter.write_text(inter.read_text() + "u1\ti1\t5\t881250999\n")
    data = dataset("SASRec", **DATA)
    assert data.stored is None
    assert len(data) == 301


def test_prepare_states_the_size_of_the_cache(inter: Path, capsys: pytest.CaptureFixture) -> None:
    store(inter)
    assert "MB for a faster start; deleting it loses nothing" in capsys.readouterr().out


def test_nothing_is_written_to_the_stored_file(inter: Path, dataset: Callable) -> None:
    copy = store(inter)
    before = copy.read_bytes()
    log = dataset("SASRec", **DATA).stored_log
    log.items[:] = 0
    assert copy.read_bytes() == before
