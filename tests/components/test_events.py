"""Events are read line by line; a bad line is reported with its number."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm4rec_recbole.components.adaptation.events import (
    BadLine,
    Event,
    limited_lines,
    parse_event,
    read_events,
)
from llm4rec_recbole.data import line_reader
from llm4rec_recbole.errors import InputError

GOOD = {"user": "7", "item": "50", "kind": "explicit", "value": 4, "time": 881250949}


def line(**changes):
    fields = {**GOOD, **changes}
    return json.dumps({k: v for k, v in fields.items() if v != "left out"}).encode()


def test_an_event_is_read():
    assert parse_event(line()) == Event("7", "50", "explicit", 4.0, 881250949.0)


def test_tokens_may_be_whole_numbers_and_other_keys_are_ignored():
    assert parse_event(line(user=7, item=50, page="home")) == parse_event(line())


def test_implicit_feedback_needs_no_value():
    assert parse_event(line(kind="implicit", value="left out")).value == 1
    assert parse_event(line(kind="implicit", value=0.5)).value == 0.5


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{", "not JSON: Expecting property name"),
        (b"[1, 2]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"\xff\xfe{", "not UTF-8"),
        (b"[" * 100_000, "not JSON"),
        (b'{"user": ' + b"9" * 5000 + b"}", "not JSON that can be read"),
        (line(user="left out"), "user must be text or a whole number, not missing"),
        (line(user=""), "user must be text"),
        (line(item=1.5), "item must be text or a whole number, not 1.5"),
        (line(item=True), "item must be text or a whole number, not true"),
        (line(item=["50"]), "item must be text"),
        (line(kind="left out"), "kind must be one of explicit, implicit, not missing"),
        (line(kind="shared"), 'not "shared"'),
        (line(kind=["explicit"]), "kind must be one of"),
        (line(value="left out"), "value must be a number, not missing"),
        (line(kind="implicit", value=None), "value must be a number"),
        (line(value="4"), 'value must be a number, not "4"'),
        (line(value=True), "value must be a number, not true"),
        (line(value=float("nan")), "value must be a finite number"),
        (line(time=float("inf")), "time must be a finite number"),
        (line(time=10**400), "time must be a finite number"),
        (line(time="left out"), "time must be a number, not missing"),
        (line(user={"id": "x" * 99}), r"not .{37}\.\.\.$"),
    ],
)
def test_what_is_wrong_is_reported(bad, reason):
    with pytest.raises(ValueError, match=reason):
        parse_event(bad)


def test_bad_lines_are_numbered_and_the_others_are_read():
    lines = [b"\xef\xbb\xbf" + line(), b"\n", b"oops\n", line() + b"\r\n", b"  \n", line(kind=3)]
    read = list(read_events(lines))
    assert [read_line.number for read_line in read] == [1, 3, 4, 6]
    assert [isinstance(read_line.event, BadLine) for read_line in read] == [
        False,
        True,
        False,
        True,
    ]
    assert str(read[1].event).startswith("line 3: this is not JSON")


def test_the_content_identifies_all_lines_read_so_far():
    lines = [line(), b"\n", line(item=51), line(item=52)]
    contents = [read_line.content for read_line in read_events(lines)]
    assert len(set(contents)) == 3
    assert [read_line.content for read_line in read_events(lines[:3])] == contents[:2]
    without_end = [*lines[:2], lines[2].removesuffix(b"\n")]
    assert [read_line.content for read_line in read_events(without_end)] == contents[:2]
    without_blank = [read_line.content for read_line in read_events([lines[0], *lines[2:]])]
    assert without_blank[0] == contents[0]
    assert not set(without_blank[1:]) & set(contents)


def test_a_line_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(line_reader, "MAX_LINE", 100)
    whole = list(limited_lines(io.BytesIO(b"a\n" * 2 + b"b" * 99), "events"))
    assert whole == [b"a\n", b"a\n", b"b" * 99]
    with pytest.raises(InputError, match="events:2: a line longer than"):
        list(limited_lines(io.BytesIO(b"a\n" + b"b" * 1000), "events"))


@settings(max_examples=30)
@given(
    st.builds(
        Event,
        user=st.text(min_size=1),
        item=st.text(min_size=1),
        kind=st.sampled_from(["explicit", "implicit"]),
        value=st.floats(allow_nan=False, allow_infinity=False),
        time=st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_writing_and_reading_gives_the_event_back(event):
    assert parse_event(json.dumps(vars(event)).encode()) == event


@given(st.binary())
def test_no_line_ever_breaks_the_reader(text):
    for read_line in read_events([text]):
        assert read_line.number == 1
        assert isinstance(read_line.event, BadLine | Event)
