"""User sequences as S3-Rec and P5 publish them, to atomic files."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from llm4rec_recbole import config
from llm4rec_recbole.datasets.readers.json_lines import read_json_object
from llm4rec_recbole.datasets.readers.sequences import read
from llm4rec_recbole.datasets.spec import DatasetSpec, RawFile, read_spec
from llm4rec_recbole.errors import InputError

SOURCE = DatasetSpec(
    dataset="tiny",
    format="sequences",
    files={"sequences": [RawFile(name="tiny.txt")]},
    timestamps="sequence_index",
)


def read_text(tmp_path, text: str, **others):
    files = {"sequences": tmp_path / "tiny.txt"}
    files["sequences"].write_text(text)
    for role, content in others.items():
        files[role] = tmp_path / role
        files[role].write_text(content if isinstance(content, str) else json.dumps(content))
    return read(files, tmp_path)


def test_times_are_positions_and_ids_may_be_words(tmp_path):
    data = read_text(tmp_path, "u7 B004 B001 B004\nu2 B001\n")
    log = data.log
    assert [log.user_tokens[u] for u in log.users] == ["u7", "u7", "u7", "u2"]
    assert [log.item_tokens[i] for i in log.items] == ["B004", "B001", "B004", "B001"]
    assert log.times.tolist() == [1, 2, 3, 1]
    assert log.ratings is None
    assert data.items is None
    assert data.row_reports["sequences"].read == 4


def test_attributes_and_titles_belong_to_the_numbers(tmp_path):
    ids = {"id2item": {"1": "B001", "2": "B002"}}
    data = read_text(
        tmp_path, "1 2 1\n", attributes={"2": [7, 9]}, ids=ids, titles="B002 lip gloss\nB001 comb\n"
    )
    assert data.items.to_dict("records") == [
        {"item_id": "2", "categories": [7, 9], "title": "lip gloss"},
        {"item_id": "1", "categories": [], "title": "comb"},
    ]


def test_texts_are_numbered_from_nought(tmp_path):
    texts = {"0": {"title": "Sal's", "description": "Pizza, Food Delivery"}}
    data = read_text(tmp_path, "1 1 2\n", texts=texts)
    assert data.items["title"].fillna("").tolist() == ["Sal's", ""]
    assert data.items["categories"].tolist() == [["Pizza", "Food Delivery"], []]


def test_texts_that_say_nothing_leave_a_gap_and_wrong_ones_are_named(tmp_path):
    data = read_text(
        tmp_path, "1 1 2\n", texts={"0": {"title": "x", "description": None}, "1": None}
    )
    assert data.items["categories"].tolist() == [[], []]
    with pytest.raises(InputError, match="texts: its keys are item numbers"):
        read_text(tmp_path, "1 B001\n", texts={"0": {}})
    with pytest.raises(InputError, match="ids: it has no 'id2item'"):
        read_text(tmp_path, "1 2\n", ids={}, titles="B001 comb\n")


@pytest.mark.parametrize("damage", ["trailer", "middle"])
def test_attributes_in_a_broken_gzip_are_refused(tmp_path, damage):
    packed = bytearray(
        gzip.compress(json.dumps({"1": [2]} | {str(n): [n] for n in range(999)}).encode())
    )
    place = -6 if damage == "trailer" else len(packed) // 2
    packed[place] ^= 0xFF
    (tmp_path / "a.json.gz").write_bytes(packed)
    with pytest.raises(InputError, match=r"a\.json\.gz"):
        read_json_object(tmp_path / "a.json.gz")


def test_words_for_missing_values_are_ids(tmp_path):
    data = read_text(tmp_path, "NaN NA 5 null\n")
    assert data.row_reports["sequences"].dropped == {}
    assert data.log.user_tokens.tolist() == ["NaN"]
    assert data.log.item_tokens.tolist() == ["NA", "5", "null"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("1 2\n\n3 4\n", 2, "blank line"),
        ("1 2\n2 3\n1 4\n", 3, "user '1' has a sequence in line 1"),
        ("1 2\n2 3", 2, "last line has no end"),
    ],
)
def test_broken_sequences_are_refused_with_their_line(tmp_path, text, line, message):
    with pytest.raises(InputError, match=message) as error:
        read_text(tmp_path, text)
    assert error.value.line == line


@pytest.mark.parametrize(("text", "line"), [('{"1": [2,\n3', 2), ("[1]", 1)])
def test_broken_attributes_are_refused_with_their_line(tmp_path, text, line):
    with pytest.raises(InputError) as error:
        read_text(tmp_path, "1 2\n", attributes=text)
    assert error.value.line == line


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("dataset", "users", "items", "interactions", "untitled"),
    [
        ("beauty", 22_363, 12_101, 198_502, 1),
        ("sports", 35_598, 18_357, 296_337, 0),
        ("yelp-s3rec", 30_431, 20_033, 316_354, 1),
    ],
)
def test_the_published_sequences_arrive_whole(
    real_data, prepared, tmp_path, dataset, users, items, interactions, untitled
):
    summary, rows = prepared(dataset, real_data("s3rec"))
    assert (summary["users"], summary["items"]) == (users, items)
    assert summary["interactions"] == rows["sequences"]["read"] == interactions
    assert rows["sequences"]["dropped"] == {}
    assert summary["loo"]["test_users"] + summary["loo"]["users_train_only"] == users
    assert summary["temporal"] == {"refused": "timestamps are sequence indices"}
    table = pd.read_parquet(tmp_path / "out" / "items.parquet")
    assert len(table) == items
    assert table["title"].eq("").sum() == untitled
    assert table["categories"].map(len).min() >= 1


def test_own_data_with_indices_instead_of_times_refuses_temporal(tmp_path, monkeypatch):
    """The property file of docs/data.md."""
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(# properties/dataset/shop.yaml\n.*?)```", page, re.DOTALL)
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "shop.yaml").write_text(text)
    (tmp_path / "overall.yaml").write_text("protocol: loo\n")
    assert read_spec("shop", tmp_path / "dataset").timestamps == "sequence_index"
    monkeypatch.setattr(config, "folder", lambda: tmp_path)
    assert config.defaults_for("EASE", "shop", None)["protocol"] == "loo"
    with pytest.raises(InputError, match=r"no cut in time.*\(use --protocol=loo\)"):
        config.defaults_for("EASE", "shop", "temporal")
