"""The columnar cache says what the file says, or is made anew."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import pytest

from llm4rec_recbole.data import cache
from llm4rec_recbole.data.cache import cached_interactions
from llm4rec_recbole.data.interactions import read_interactions

HEADER = "user_id:token\titem_id:token\ttimestamp:float\n"


@pytest.fixture
def inter(tmp_path):
    path = tmp_path / "toy.inter"
    path.write_text(HEADER + "b\tz\t1700000001\na\tz\t1700000000\nb\ty\t1700000002\n")
    return path


def same(one, other):
    return all(
        np.array_equal(getattr(one, field.name), getattr(other, field.name))
        for field in dataclasses.fields(one)
    )


def test_the_cache_returns_what_the_file_says_without_reading_it(inter, monkeypatch):
    read = read_interactions(inter)
    assert same(cached_interactions(inter), read)
    monkeypatch.setattr(cache, "read_interactions", lambda path: pytest.fail("read again"))
    again = cached_interactions(inter)
    assert same(again, read)
    assert again.times.dtype == read.times.dtype
    assert again.users.dtype == read.users.dtype


def test_a_changed_file_is_read_again(inter):
    cached_interactions(inter)
    inter.write_text(HEADER + "c\tx\t1700000001.5\n")
    os.utime(inter, ns=(1, 1))
    assert same(cached_interactions(inter), read_interactions(inter))


@pytest.mark.parametrize("name", ["rows", "users"])
def test_a_broken_or_half_cache_is_made_anew(inter, name):
    cached_interactions(inter)
    (inter.parent / "cache" / f"{name}.parquet").write_bytes(b"PAR1 half")
    assert same(cached_interactions(inter), read_interactions(inter))
    (inter.parent / "cache" / f"{name}.parquet").unlink()
    assert same(cached_interactions(inter), read_interactions(inter))
