"""The columnar cache says what the file says, or is made anew."""

from __future__ import annotations

import dataclasses
import os
import pickle
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

from llm4rec_recbole.data import atomic, table_cache
from llm4rec_recbole.data.atomic import read_atomic
from llm4rec_recbole.data.atomic_format import DEFAULT_FORMAT
from llm4rec_recbole.data.dataset_files import DatasetFiles
from llm4rec_recbole.datasets.prepare import read_interactions
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import sha256_of

HEADER = "user_id:token\titem_id:token\tgroup:token\ttimestamp:float\n"
ROWS = "b\tz\tNA\t1700000001\na\tz\t\t1700000000\nb\tÿ\tg\t1700000002\n"


@pytest.fixture(autouse=True)
def small_files_too(monkeypatch):
    monkeypatch.setattr(table_cache, "LEAST_BYTES", 0)
    table_cache._memory.clear()


@pytest.fixture
def inter(tmp_path):
    path = tmp_path / "toy.inter"
    path.write_text(HEADER + ROWS)
    return path


@pytest.fixture
def reads(monkeypatch):
    """How often a file was parsed so far: len(reads)."""
    reads, parse = [], atomic._parse
    monkeypatch.setattr(atomic, "_parse", lambda *given: reads.append(given) or parse(*given))
    return reads


def place(inter):
    return inter.parent / "cache" / "toy.inter.arrow"


def check(inter):
    """Read the file, or its copy on the disk."""
    table_cache._memory.clear()
    DatasetFiles(inter.parent, "toy").check()
    read_atomic(inter)


def same(one, other):
    return all(
        np.array_equal(getattr(one, field.name), getattr(other, field.name))
        and getattr(one, field.name).dtype == getattr(other, field.name).dtype
        for field in dataclasses.fields(one)
    )


def test_the_cache_holds_what_the_file_says(inter, reads):
    first = read_atomic(inter)
    table_cache._memory.clear()
    second = read_atomic(inter)
    assert len(reads) == 1
    assert second.types == first.types
    assert second.columns.equals(first.columns)
    pd.testing.assert_frame_equal(second.frame(), first.frame())
    assert second.frame()["group"].tolist() == ["NA", np.nan, "g"]
    wanted = ["item_id", "timestamp"]
    assert list(second.frame(wanted.__contains__)) == wanted


@pytest.mark.parametrize("fraction", ["", ".25", ".0"])
def test_interactions_are_the_same_with_and_without_it(inter, fraction):
    inter.write_text(HEADER + ROWS.replace("001", f"001{fraction}"))
    read = read_interactions(inter)
    check(inter)
    inter.rename(inter.with_suffix(".away"))
    inter.write_bytes(b"-" * inter.with_suffix(".away").stat().st_size)  # nobody reads it again
    changed = inter.with_suffix(".away").stat().st_mtime_ns
    os.utime(inter, ns=(changed, changed))
    assert same(read_interactions(inter), read)


def test_a_file_that_passed_is_not_checked_again(inter, reads):
    check(inter)
    check(inter)
    assert len(reads) == 1


def test_a_changed_file_is_checked_and_read_again(inter, reads):
    check(inter)
    before = sha256_of(place(inter))
    inter.write_text(HEADER + ROWS.replace("a\t", "c\t"))  # as long as before
    os.utime(inter, ns=(1, 1))
    check(inter)
    assert len(reads) == 2
    assert sha256_of(place(inter)) != before
    assert read_interactions(inter).user_tokens.tolist() == ["[PAD]", "b", "c"]


def test_a_file_that_turned_bad_is_refused(inter):
    check(inter)
    inter.write_text(HEADER + ROWS + "b\n")
    with pytest.raises(InputError, match=r"toy\.inter:5"):
        check(inter)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other"])
def test_a_damaged_cache_is_reported_in_one_line_and_rebuilt(inter, damage, reads, capsys):
    check(inter)
    whole = place(inter).read_bytes()
    at = whole.index(np.float64(1700000002).tobytes())
    broken = {
        "flip": whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :],
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "other": b"a text\n",
    }
    place(inter).write_bytes(broken[damage])
    check(inter)
    assert len(reads) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "damaged" in message
    assert place(inter).read_bytes() == whole


@pytest.mark.parametrize(
    "content",
    [b"[]\n", b"7\n", b"{}\n", b"{\n", pickle.dumps([1]), b"\n", b'{"version": 2}\nPARROW1'],
)
def test_another_file_in_its_place_is_replaced(inter, content, reads):
    place(inter).parent.mkdir()
    place(inter).write_bytes(content)
    check(inter)
    check(inter)
    assert len(reads) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"user_field": "group"},
        {"item_field": "group"},
        {"time_field": "when"},
        {"separator": ","},
        {"encoding": "latin-1"},
    ],
)
def test_a_file_read_in_another_format_is_read_again(inter, changed, reads):
    check(inter)
    table_cache._memory.clear()
    with suppress(InputError):
        read_atomic(inter, dataclasses.replace(DEFAULT_FORMAT, **changed))
    assert len(reads) == 2


def test_required_columns_are_checked_in_the_copy_too(inter, reads):
    read_atomic(inter)
    for _ in range(2):
        with pytest.raises(InputError, match=r"toy\.inter:1: column 'rating' is missing"):
            read_atomic(inter, required=["rating"])
    assert len(reads) == 1


@pytest.mark.parametrize("kind", ["token_seq", "float_seq"])
def test_sequences_are_cached(inter, kind, reads):
    inter.write_text(f"user_id:token\titem_id:token\tx:{kind}\ttimestamp:float\na\tb\t1 2\t3\n")
    for _ in range(2):
        table_cache._memory.clear()
        assert read_atomic(inter).frame()["x"].tolist() == ["1 2"]
    assert len(reads) == 1


def test_times_too_large_for_a_float_are_cached_exactly(inter):
    inter.write_text(HEADER + "a\tb\tg\t1700000000000000001\nb\tb\tg\t1700000000000000002\n")
    check(inter)
    check(inter)
    assert np.diff(read_interactions(inter).times).tolist() == [1]


def test_a_number_that_arrow_does_not_read_is_read(inter):
    inter.write_text(HEADER + "a\tb\tg\t+5\n")
    assert read_interactions(inter).times.tolist() == [5]


def test_small_files_get_no_cache(inter, monkeypatch):
    monkeypatch.setattr(table_cache, "LEAST_BYTES", 1 << 20)
    check(inter)
    assert not place(inter).exists()


def test_a_read_only_folder_is_refused_in_one_line(inter, capsys):
    place(inter).parent.write_text("a file where the folder would be")
    check(inter)
    assert "no cache" in capsys.readouterr().err
    assert read_interactions(inter).user_tokens.tolist() == ["[PAD]", "b", "a"]


# Copies in memory.


def settled(path):
    """Let the file have been written a minute ago."""
    changed = path.stat().st_mtime_ns - 60_000_000_000
    os.utime(path, ns=(changed, changed))


@pytest.fixture
def large(monkeypatch):
    monkeypatch.setattr(table_cache, "LEAST_BYTES", 1 << 30)


@pytest.mark.parametrize("suffix", ["inter", "item"])
def test_a_small_file_is_parsed_once_a_run(inter, suffix, reads, large):
    path = inter.rename(inter.with_suffix(f".{suffix}"))
    settled(path)
    assert read_atomic(path) is not None
    read_atomic(str(path))
    assert len(reads) == 1
    path.write_text(HEADER + ROWS + "c\tz\tg\t1700000003\n")
    assert len(read_atomic(path)) == 4


def test_a_file_that_may_still_change_is_not_kept(inter, large):
    for number in range(20):  # the same length and, on many file systems, the same time of change
        inter.write_text(HEADER + f"u{number:02}\ti\tg\t1700000000\n")
        assert read_interactions(inter).user_tokens[1] == f"u{number:02}"


def test_memory_holds_few_files(inter, tmp_path, large):
    for number in range(20):
        path = tmp_path / f"t{number}.item"
        path.write_text(HEADER + ROWS)
        settled(path)
        read_atomic(path)
    assert len(table_cache._memory) <= table_cache._MOST_IN_MEMORY
