"""JSON lines: lone surrogates are replaced, and a line that is not JSON is named."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4rec_recbole.datasets.readers.json_lines import read_objects
from llm4rec_recbole.errors import InputError

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def read(tmp_path, line: str) -> dict:
    path = tmp_path / "reviews.json"
    path.write_text(line + "\n", encoding="utf-8")
    ((_, value),) = read_objects(path)
    return value


@given(st.dictionaries(st.text(), anything, max_size=3))
def test_whatever_comes_can_be_written_again(tmp_path_factory, value):
    record = read(tmp_path_factory.mktemp("json"), json.dumps(value))
    assert json.dumps(record, ensure_ascii=False).encode("utf-8")


def test_half_a_character_becomes_a_question_mark_and_a_whole_one_stays(tmp_path):
    line = r'{"text": "good \ud83d!", "also": ["\ud83d\ude00"], "\udc00": {"a": "\uDC00"}}'
    assert read(tmp_path, line) == {"text": "good ?!", "also": ["\U0001f600"], "?": {"a": "?"}}


@pytest.mark.parametrize("line", ['{"n": ' + "9" * 5000 + "}", '{"a": ' * 100_000, '{"a": 1', "[]"])
def test_what_cannot_be_read_is_named_with_its_line(tmp_path, line):
    with pytest.raises(InputError, match=r"reviews\.json:1: "):
        read(tmp_path, line)


def test_the_position_of_an_error_is_reported_once(tmp_path):
    with pytest.raises(InputError) as error:
        read(tmp_path, '{"a": 1')
    why = "not JSON, or cut in half: Expecting ',' delimiter at column 8"
    assert str(error.value) == f"{tmp_path / 'reviews.json'}:1: {why}"


def test_half_a_character_in_a_python_literal_becomes_a_question_mark(tmp_path):
    path = tmp_path / "meta.json"
    path.write_text(r"{'asin': 'i\ud800', 'categories': [['\U0000DFFF x']]}" + "\n")
    ((_, value),) = read_objects(path, python=True)
    assert value == {"asin": "i?", "categories": [["? x"]]}


@pytest.mark.parametrize("line", ["{'asin': 'i1', ['a']: 2}", "{'a': {{}}}"])
def test_a_python_literal_with_a_key_that_can_be_none_is_named(tmp_path, line):
    path = tmp_path / "meta.json"
    path.write_text(f"{line}\n")
    with pytest.raises(InputError, match=r"meta\.json:1: .*not a Python literal either"):
        list(read_objects(path, python=True))
