"""The files beside user sequences: each entry is kept, or counted under why it is not."""

from __future__ import annotations

import json

import pytest

from llm4rec_recbole.datasets.convert import convert
from llm4rec_recbole.datasets.readers.json_lines import read_json_object
from llm4rec_recbole.datasets.readers.sequences import read_items
from llm4rec_recbole.datasets.spec import DatasetSpec, RawFile
from llm4rec_recbole.errors import InputError


def read(tmp_path, tokens, **contents):
    files = {}
    for role, content in contents.items():
        files[role] = tmp_path / role
        files[role].write_text(content if isinstance(content, str) else json.dumps(content))
    return read_items(files, tokens)


def test_entries_of_no_item_and_bad_ones_are_counted(tmp_path):
    attributes = {"1": [7, "Skin Care"], "2": [None, [1]], "3": 5, "4": [True], "9": [1]}
    table, row_reports = read(tmp_path, ["1", "2", "3", "4"], attributes=attributes)
    assert table["categories"].tolist() == [[7, "Skin Care"], [], [], []]
    row_report = row_reports["attributes"]
    assert (row_report.read, row_report.remaining) == (5, 1)
    assert row_report.dropped == {"not a list of numbers or names": 3, "not in the sequences": 1}


def test_titles_of_no_item_are_counted_and_the_first_of_an_item_is_read(tmp_path):
    table, row_reports = read(
        tmp_path,
        ["1", "2"],
        ids={"id2item": {"1": "X", "2": ["Y"], "3": "Z"}},
        titles="X lip gloss\nX comb\nZ soap\n2 by number\n",
    )
    assert table["title"].tolist() == ["lip gloss", "by number"]
    assert row_reports["ids"].dropped == {
        "an id that is not a string": 1,
        "not in the sequences": 1,
    }
    assert row_reports["titles"].dropped == {"an id that came before": 1, "not in the sequences": 1}
    assert row_reports["titles"].first_line == {
        "an id that came before": 2,
        "not in the sequences": 3,
    }


@pytest.mark.parametrize(
    "bad", ["x", 5, [1], {"description": 5}, {"title": ["x"]}, {"title": "x", "description": ["x"]}]
)
def test_texts_that_are_none_are_counted(tmp_path, bad):
    texts = {"0": {"title": "Sal's", "description": "Pizza, Bars"}, "1": bad, "7": {"title": "x"}}
    table, row_reports = read(tmp_path, ["2", "1"], texts=texts)
    assert table["title"].fillna("").tolist() == ["", "Sal's"]
    assert table["categories"].tolist() == [[], ["Pizza", "Bars"]]
    assert row_reports["texts"].dropped == {
        "not an object with texts": 1,
        "not in the sequences": 1,
    }


@pytest.mark.parametrize("token", ["²", "٥", "9" * 5000, "x"])
def test_items_without_numeric_ids_have_no_texts_by_number(tmp_path, token):
    with pytest.raises(InputError, match=r"texts: its keys are item numbers, but the items"):
        read(tmp_path, ["1", token], texts={"0": {}})


@pytest.mark.parametrize("ids", [{"id2item": [1]}, {"id2item": "x"}, {"x": {}}])
def test_ids_without_a_table_of_them_are_refused(tmp_path, ids):
    with pytest.raises(InputError, match=r"ids: it has no 'id2item'"):
        read(tmp_path, ["1"], ids=ids, titles="X lip gloss\n")


@pytest.mark.parametrize("text", ['{"1": [' + "9" * 5000 + "]}", '{"1": ' + "[" * 100_000])
def test_numbers_and_depths_that_no_reader_takes_are_one_line(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json: it cannot be read: ") as error:
        read_json_object(tmp_path / "a.json")
    assert "\n" not in str(error.value)


def test_half_a_character_reaches_the_item_file_as_a_question_mark(tmp_path):
    files = {role: [RawFile(name=role)] for role in ("sequences", "attributes")}
    (tmp_path / "sequences").write_text("1 2 3\n")
    (tmp_path / "attributes").write_text(r'{"2": ["a\ud800"]}' + "\n")
    source = DatasetSpec(
        dataset="tiny", format="sequences", files=files, timestamps="sequence_index"
    )
    assert [row_report.unit for row_report in convert(source, tmp_path, tmp_path / "tiny")][
        1
    ] == "items"
    assert (tmp_path / "tiny" / "tiny.item").read_text().splitlines()[1:] == ["2\ta?", "3\t"]
