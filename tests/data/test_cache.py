"""The columnar cache says what the file says, or is made anew."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import pytest

from llm4rec_recbole.data import atomic, table_cache
from llm4rec_recbole.data.atomic import check_atomic_files
from llm4rec_recbole.data.interactions import read_interactions
from llm4rec_recbole.data.read_atomic import read_atomic
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import sha256_of

HEADER = "user_id:token\titem_id:token\tgroup:token\ttimestamp:float\n"
ROWS = "b\tz\tNA\t1700000001\na\tz\t\t1700000000\nb\tÿ\tg\t1700000002\n"


@pytest.fixture(autouse=True)
def small_files_too(monkeypatch):
    monkeypatch.setattr(table_cache, "LEAST_BYTES", 0)


@pytest.fixture
def inter(tmp_path):
    path = tmp_path / "toy.inter"
    path.write_text(HEADER + ROWS)
    return path


@pytest.fixture
def reads(monkeypatch):
    """How often the file was checked so far: len(reads)."""
    reads, check = [], atomic._check_file
    monkeypatch.setattr(
        atomic, "_check_file", lambda *given, **named: reads.append(given) or check(*given, **named)
    )
    return reads


def place(inter):
    return inter.parent / "cache" / "toy.inter.npz"


def check(inter):
    check_atomic_files(inter.parent, "toy")


def same(one, other):
    return all(
        np.array_equal(getattr(one, field.name), getattr(other, field.name))
        and getattr(one, field.name).dtype == getattr(other, field.name).dtype
        for field in dataclasses.fields(one)
    )


def test_the_cache_holds_what_the_file_says(inter):
    frame, types = read_atomic(inter)
    check(inter)
    cached, cached_types = table_cache.cached_table(inter)
    assert cached_types == types
    for field, kind in types.items():
        assert cached[field].isna().tolist() == frame[field].isna().tolist()
        assert cached[field].dropna().tolist() == frame[field].dropna().tolist()
        assert (cached[field].dtype == "category") == (kind == "token")
    assert list(table_cache.cached_table(inter, ["item_id", "timestamp"].__contains__)[0]) == [
        "item_id",
        "timestamp",
    ]


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
    assert table_cache.cached_table(inter) is None
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
def test_a_damaged_cache_is_told_in_one_line_and_made_anew(inter, damage, reads, capsys):
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
    assert table_cache.cached_table(inter) is None  # whoever wants it then reads the file
    check(inter)
    assert len(reads) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "damaged" in told
    assert place(inter).read_bytes() == whole


def test_a_pickle_in_its_place_is_not_loaded(inter, capsys):
    place(inter).parent.mkdir()
    np.savez(place(inter), about=np.array([{"an": "object"}]))
    check(inter)
    assert "damaged" in capsys.readouterr().err
    assert table_cache.cached_table(inter) is not None


def test_more_columns_required_is_another_check(inter, reads):
    check_atomic_files(inter.parent, "toy", ("user_id", "item_id"))
    check(inter)
    check_atomic_files(inter.parent, "toy", ("user_id", "item_id"))
    assert len(reads) == 2


@pytest.mark.parametrize("kind", ["token_seq", "float_seq"])
def test_sequences_are_not_cached(inter, kind):
    inter.write_text(f"user_id:token\titem_id:token\tx:{kind}\ttimestamp:float\na\tb\t1 2\t3\n")
    check(inter)
    assert not place(inter).exists()


def test_times_too_large_for_a_float_are_not_cached(inter):
    inter.write_text(HEADER + "a\tb\tg\t1700000000000000001\nb\tb\tg\t1700000000000000002\n")
    check(inter)
    assert not place(inter).exists()
    assert np.diff(read_interactions(inter).times).tolist() == [1]


def test_a_number_that_only_pandas_reads_is_not_cached(inter):
    inter.write_text(HEADER + "a\tb\tg\t+5\n")
    check(inter)
    assert read_interactions(inter).times.tolist() == [5]


def test_small_files_get_no_cache(inter, monkeypatch):
    monkeypatch.setattr(table_cache, "LEAST_BYTES", 1 << 20)
    check(inter)
    assert not place(inter).exists()


def test_a_folder_that_cannot_be_written_is_told_in_one_line(inter, capsys):
    place(inter).parent.write_text("a file where the folder would be")
    check(inter)
    assert "no cache" in capsys.readouterr().err
    assert read_interactions(inter).user_tokens.tolist() == ["[PAD]", "b", "a"]
