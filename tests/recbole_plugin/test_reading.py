"""Each patch of recbole_plugin/reading.py, shown by what RecBole reads without it."""

from __future__ import annotations

import pickle
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.training.experiment import prepare

HEADER = "user_id:token | item_id:token | timestamp:float"
UNIX = 881_250_949  # in float32 the next number is 64 s later


def tokens(data: Any, field: str, ids: Any) -> list[str]:
    return [str(token) for token in data.id2token(field, np.asarray(ids))]


def test_times_one_second_apart_keep_their_order(write: Callable, dataset: Callable) -> None:
    write(inter=[HEADER, *(f"u | {name} | {UNIX + t}" for name, t in zip("abcd", (3, 1, 2, 0)))])
    data = dataset()
    data._change_feat_format()
    data.sort(by="timestamp")
    assert tokens(data, "item_id", data.inter_feat["item_id"]) == ["d", "b", "c", "a"]
    assert data.inter_feat["timestamp"].tolist() == [UNIX, UNIX + 1, UNIX + 2, UNIX + 3]


def test_leave_one_out_tests_the_last_item_to_the_second(
    write: Callable, dataset: Callable
) -> None:
    rows = [f"u | {name} | {UNIX + t}" for name, t in zip("abcde", (0, 9, 2, 3, 4))]
    write(inter=[HEADER, *rows])
    split = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"}
    data = dataset(protocol="recbole", eval_args=split)
    _, valid, test = data.build()
    assert tokens(data, "item_id", test.inter_feat["item_id"]) == ["b"]
    assert tokens(data, "item_id", valid.inter_feat["item_id"]) == ["e"]


def test_a_repeat_keeps_its_first_row_among_equal_times(write: Callable, dataset: Callable) -> None:
    rows = [(f"u{n % 40}", n // 200) for n in range(400)]  # enough for an unstable sort to show
    text = [f"{user} | i | {1 - late} | {n}" for n, (user, late) in enumerate(rows)]
    write(inter=[f"{HEADER} | row:float", *text])
    data = dataset(rm_dup_inter="first")
    assert sorted(data.inter_feat["row"]) == list(range(200, 240))


def test_missing_values_are_filled(write: Callable, dataset: Callable) -> None:
    write(
        inter=[HEADER, "u | a | 1", "u | b | 2"],
        item=[
            "item_id:token | year:token | price:float | tags:token_seq",
            "a | 1999 | 3 | x y",
            "b |  |  | ",
        ],
    )
    data = dataset()
    data._change_feat_format()
    a, b = data.token2id("item_id", ["a", "b"])
    assert data.item_feat["year"][[0, b]].tolist() == [0, 0]
    assert data.item_feat["price"][[0, a, b]].tolist() == [3, 3, 3]
    assert data.item_feat["tags"][b].tolist() == [0, 0]


def test_an_empty_sequence_is_read(write: Callable, dataset: Callable) -> None:
    write(
        inter=[HEADER, "u | a | 1", "u | b | 2"],
        item=["item_id:token | tags:token_seq | vector:float_seq", "a |  | 0.5 1", "b | x y | "],
    )
    data = dataset()
    a, b = data.token2id("item_id", ["a", "b"])
    assert [len(data.item_feat["tags"][item]) for item in (a, b)] == [0, 2]
    data._change_feat_format()
    assert data.item_feat["vector"][a].tolist() == [0.5, 1.0]


def test_sequences_of_different_lengths_differ(write: Callable, dataset: Callable) -> None:
    write(
        inter=[HEADER, "u | a | 1", "u | b | 2", "u | c | 3"],
        item=["item_id:token | tags:token_seq", "a | x", "b | y x z", "c | z"],
    )
    data = dataset()
    tags = {
        item: tokens(data, "tags", data.item_feat["tags"][data.token2id("item_id", item)])
        for item in "abc"
    }
    assert tags == {"a": ["x"], "b": ["y", "x", "z"], "c": ["z"]}


def test_sequences_are_padded_at_once(
    write: Callable, dataset: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    cells = ["", "x y", "x", "z x y", *[""] * 20]
    items = [f"i{n} | {cell} | {n}" for n, cell in enumerate(cells)]
    write(
        inter=[HEADER, *(f"u | i{n} | {n}" for n in range(len(cells)))],
        item=["item_id:token | tags:token_seq | price:float", *items],
    )
    data = dataset()
    data.field2seqlen["tags"] = 2
    made = []
    tensor = torch.LongTensor
    monkeypatch.setattr(torch, "LongTensor", lambda values: made.append(1) or tensor(values))
    data._change_feat_format()
    assert len(made) < len(cells)  # RecBole makes one for each row
    assert list(data.item_feat) == ["item_id", "tags", "price"]
    tags = data.item_feat["tags"]
    assert (tags.dtype, tags.shape) == (torch.int64, (len(cells) + 1, 2))
    at = dict(zip(data.item_feat["item_id"].tolist(), tags.tolist()))
    for n, cell in enumerate(cells):
        ids = np.array([i for i in at[data.token2id("item_id", f"i{n}")] if i], dtype=int)
        assert tokens(data, "tags", ids) == cell.split()[:2]
    assert at[0] == [0, 0]


def test_no_warning_and_no_shared_memory(write: Callable, dataset: Callable) -> None:
    write(inter=[HEADER, "u | a | 1", "u | b | 2"])
    data = dataset()
    frame = data.inter_feat
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data._change_feat_format()
    data.inter_feat["item_id"][:] = 0
    assert frame["item_id"].tolist() == [1, 2]


def stock_augmentation(users: list[int], items: list[int], longest: int) -> list[tuple]:
    """RecBole's loop, rewritten plainly: (user, item, items before it) for all but the first."""
    rows = []
    for i, (user, item) in enumerate(zip(users, items)):
        before = [items[j] for j in range(i) if users[j] == user][-longest:]
        if before:
            rows.append((user, item, before + [0] * (longest - len(before)), len(before)))
    return rows


@pytest.mark.parametrize("longest", [1, 3, 50])
def test_augmentation_gives_every_prefix(write: Callable, dataset: Callable, longest: int) -> None:
    lengths = {"a": 5, "b": 1, "c": 2, "d": 3}
    rows = [f"{u} | i{(n * 7) % 5} | {n}" for u, most in lengths.items() for n in range(most)]
    write(inter=[HEADER, *rows])
    data = dataset("GRU4Rec", MAX_ITEM_LIST_LENGTH=longest, loss_type="CE")
    data_before = data.inter_feat
    data._change_feat_format()
    after = data.inter_feat
    found = zip(
        after["user_id"].tolist(),
        after["item_id"].tolist(),
        after["item_id_list"].tolist(),
        after["item_length"].tolist(),
    )
    expected = stock_augmentation(
        data_before["user_id"].tolist(), data_before["item_id"].tolist(), longest
    )
    assert list(found) == expected
    assert after["timestamp_list"].shape == (len(expected), longest)


def test_augmentation_of_ml_100k_is_vectorised() -> None:
    from recbole.config import Config
    from recbole.data import create_dataset

    options = {"loss_type": "CE", "train_neg_sample_args": None}
    data = create_dataset(Config("GRU4Rec", "ml-100k", config_dict=options))
    started = time.process_time()
    data._change_feat_format()
    assert time.process_time() - started < 2
    assert len(data.inter_feat) == 100_000 - 943


def test_rows_are_picked_as_torch_picks_them() -> None:
    import torch
    from recbole.data.interaction import Interaction

    values = torch.arange(12).reshape(6, 2)
    rows = Interaction({"x": values})
    for index in (np.array([4, 0, 4]), torch.tensor([1, 5]), np.arange(6) % 2 == 0, [2, 3]):
        assert torch.equal(rows[index]["x"], values[torch.as_tensor(index)])
    assert rows[np.array([])]["x"].shape == (0, 2)
    many = Interaction({"x": torch.zeros(100_000, 50)})
    index = np.random.default_rng(0).permutation(100_000)[:2000]

    def seconds(which: np.ndarray | list[int]) -> float:
        """The least of ten: a single one may be another process's."""
        found = []
        for _ in range(10):
            started = time.perf_counter()
            many[which]
            found.append(time.perf_counter() - started)
        return min(found)

    assert seconds(index) < seconds(index.tolist())


class Bomb:
    """A pickle that leaves a trace where it is loaded."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("exploded"),)


def test_a_pickled_data_set_is_refused_unread(write: Callable, dataset: Callable) -> None:
    write(inter=[HEADER, "u | a | 1"])
    data = dataset(checkpoint_dir="saved")
    path = Path("saved", f"{data.dataset_name}-Dataset.pth")  # where RecBole looks by itself
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match=r"Dataset\.pth.*pickle"):
        dataset(checkpoint_dir="saved")
    assert not Path("exploded").exists()


def test_pickled_data_loaders_are_refused_unread(write: Callable, dataset: Callable) -> None:
    from recbole.data import data_preparation

    write(inter=[HEADER, "u | a | 1"])
    data = dataset(checkpoint_dir="saved")
    path = Path("saved", f"{data.dataset_name}-for-{data.config['model']}-dataloader.pth")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match=r"dataloader\.pth.*pickle"):
        data_preparation(data.config, data)
    assert not Path("exploded").exists()


@pytest.mark.parametrize("option", ["save_dataset", "dataset_save_path", "dataloaders_save_path"])
def test_an_option_about_a_pickle_is_refused(dataset: Callable, option: str) -> None:
    value = True if option == "save_dataset" else "saved.pth"
    with pytest.raises(InputError, match=f"{option} is about a pickle"):
        dataset(**{option: value})


@pytest.mark.parametrize(("model", "expected"), [("SASRec", [1, 3, 6, 2]), ("BPR", [1, 2, 3, 6])])
def test_training_interactions_come_user_by_user_for_windows_and_else_by_time(
    write: Callable, dataset: Callable, model: str, expected: list[int]
) -> None:
    rows = ["a | i | 1", "b | i | 2", "a | j | 3", "a | k | 8", "a | l | 9", "a | m | 6"]
    rows += ["b | k | 7", "b | l | 8"]
    write(inter=[HEADER, *rows])
    train = dataset(model, protocol="loo").build()[0]
    assert train.inter_feat["timestamp"].tolist() == expected


@pytest.mark.parametrize(
    "links",
    [
        [f"i{n}\te{n % 5}" for n in range(6)],  # two items of one entity
        [*(f"i{n}\te{n}" for n in range(6)), "i0\te7"],  # two entities of one item
    ],
)
def test_links_that_are_not_one_to_one_are_refused(tmp_path: Path, options: dict, links) -> None:
    folder = tmp_path / "graph"
    folder.mkdir()
    rows = [f"u{u}\ti{(u + n) % 6}\t5\t{n}" for u in range(6) for n in range(4)]
    files = {
        "inter": ["user_id:token\titem_id:token\trating:float\ttimestamp:float", *rows],
        "kg": ["head_id:token\trelation_id:token\ttail_id:token"]
        + [f"e{n}\tr0\te{n + 1}" for n in range(9)],
        "link": ["item_id:token\tentity_id:token", *links],
    }
    for kind, lines in files.items():
        (folder / f"graph.{kind}").write_text("\n".join(lines) + "\n")
    given = {"data_path": str(tmp_path), "results_dir": options["results_dir"]}
    with pytest.raises(InputError, match=r"graph\.link: items and entities are not one to one"):
        prepare("CFKG", "graph", options=given)
    links = ["item_id:token\tentity_id:token", *(f"i{n}\te{n}" for n in range(6))]
    (folder / "graph.link").write_text("\n".join(links) + "\n")
    prepare("CFKG", "graph", options=given)
