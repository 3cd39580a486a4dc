"""A bad atomic file is told in one line that names the file and the line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from llm4rec_recbole.data.read_atomic import read_atomic
from llm4rec_recbole.errors import InputError

HEADER = "user_id:token | item_id:token | timestamp:float"


def test_columns_have_their_types(write: Callable) -> None:
    path = write(inter=[HEADER, "007 | a | 881250949", "8 |  | 1.5"]) / "tiny.inter"
    frame, types = read_atomic(path)
    assert types == {"user_id": "token", "item_id": "token", "timestamp": "float"}
    assert frame["user_id"].tolist() == ["007", "8"]
    assert frame["item_id"].isna().tolist() == [False, True]
    assert frame["timestamp"].tolist() == [881250949.0, 1.5]


def test_only_wanted_columns_are_read(write: Callable) -> None:
    path = write(inter=[HEADER, "1 | a | 5"]) / "tiny.inter"
    assert list(read_atomic(path, lambda field: field != "item_id")[0]) == ["user_id", "timestamp"]


def test_quotes_mean_nothing(write: Callable) -> None:
    path = (
        write(item=["item_id:token | title:token_seq", '1 | "Weird Al', '2 | It"s']) / "tiny.item"
    )
    assert read_atomic(path)[0]["title"].tolist() == ['"Weird Al', 'It"s']


@pytest.mark.parametrize(
    ("rows", "line", "message"),
    [
        (["user_id:token | item_id", "1 | a"], 1, "malformed header at 'item_id'"),
        (["user_id:token | item_id:text", "1 | a"], 1, "malformed header at 'item_id:text'"),
        (["user_id:token | user_id:token", "1 | a"], 1, "names user_id twice"),
        ([HEADER, "1 | a | 5", HEADER, "1 | b | 6"], 3, "header comes a second time"),
        ([HEADER, "1 | a | 5", "1 | b"], 3, "2 cells where the header names 3"),
        ([HEADER, "1 | a | b | 5"], 2, "4 cells where the header names 3"),
        ([HEADER, "1 | a | 5", "", "1 | a | soon"], 4, "timestamp is 'soon', not a number"),
    ],
)
def test_the_bad_line_is_named(write: Callable, rows: list[str], line: int, message: str) -> None:
    path = write(inter=rows) / "tiny.inter"
    with pytest.raises(InputError, match=re.escape(f"{path}:{line}: ") + ".*" + message):
        read_atomic(path)


def test_a_file_without_rows_is_named(write: Callable) -> None:
    path = write(inter=[HEADER]) / "tiny.inter"
    with pytest.raises(InputError, match="no rows"):
        read_atomic(path)


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tiny.inter"
    path.write_bytes(b"\x93NUMPY\xff\xfe")
    with pytest.raises(InputError, match="not utf-8 text"):
        read_atomic(path)


def test_a_missing_time_is_named(write: Callable, dataset: Callable) -> None:
    write(inter=[HEADER, "1 | a | 5", "1 | b | "])
    with pytest.raises(InputError, match=r"tiny\.inter:3: timestamp is missing"):
        dataset()


def test_a_time_in_another_unit_is_named(write: Callable, dataset: Callable) -> None:
    write(inter=[HEADER, "1 | a | 1700000000", "", "1 | b | 1700000060000"])
    with pytest.raises(InputError, match=r"tiny\.inter:4: the time is in milliseconds"):
        dataset()
