"""`fetch --check`: every difference is found, and only those."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest
from tiny_ratings import RATINGS, SUM, source

from llm4rec_recbole.datasets.import_raw_files import git_blob
from llm4rec_recbole.datasets.spec import RawFile, Source
from llm4rec_recbole.datasets.verify import check
from llm4rec_recbole.errors import InputError


@pytest.fixture
def checked(tmp_path):
    """A source with all that --check compares, and its data set prepared."""
    from llm4rec_recbole.datasets.convert import convert

    raw, out = tmp_path / "raw", tmp_path / "toy"
    raw.mkdir()
    (raw / "ratings.dat").write_bytes(RATINGS)
    one = source(rows={"ratings": 20_000}, statistics={"users": 20_000, "items": 7})
    convert(one, raw, out)
    return one, out, raw


def test_a_check_finds_every_kind_of_difference(checked):
    one, out, raw = checked
    assert check(one, out, raw)[1]
    lines, same = check(replace(one, rows={"ratings": 19_999}), out, raw)
    assert (same, "rows of ratings: 20,000, 19,999 expected" in lines) == (False, True)
    lines, same = check(replace(one, statistics={"items": 8}), out, raw)
    assert (same, "items: 7, 8 expected" in lines) == (False, True)
    (raw / "ratings.dat").write_bytes(RATINGS[:-1])
    assert not check(one, out, raw)[1]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "toy.inter: the file is empty"),
        ("{head}", "toy.inter: no rows below the header"),
        ("{head}u\ti\n", "toy.inter:2: 2 columns where the header has 3"),
    ],
)
def test_broken_interactions_are_named_by_a_check(checked, content, line):
    one, out, raw = checked
    head = "user_id:token\titem_id:token\ttimestamp:float\n"
    (out / "toy.inter").write_text(content.format(head=head))
    with pytest.raises(InputError, match=line):
        check(one, out, raw)


def test_a_file_that_only_git_knows_is_checked_by_its_sum(tmp_path):
    (tmp_path / "ratings.dat").write_bytes(RATINGS)
    right = git_blob(tmp_path / "ratings.dat")
    for blob, expected in ((right, True), ("0" * 40, False)):
        files = {"ratings": [RawFile("ratings.dat", git_blob=blob)]}
        lines, same = check(Source("toy", "movielens_dat", files), tmp_path, tmp_path)
        assert same is expected
        assert ("is right" in lines[0]) is expected


def test_packing_a_file_by_hand_does_not_lose_its_checksum(checked):
    one, out, raw = checked
    (raw / "ratings.dat").unlink()
    packed = raw / "ratings.dat.gz"
    packed.write_bytes(gzip.compress(RATINGS))
    lines, same = check(one, out, raw)
    assert (same, lines[0]) == (True, "ratings.dat.gz: SHA-256 is right")
    packed.write_bytes(gzip.compress(RATINGS.replace(b"::5::", b"::1::")))
    lines, same = check(one, out, raw)
    assert not same
    assert f"instead of {SUM}" in lines[0]
    packed.write_bytes(gzip.compress(RATINGS)[:-20])
    lines, same = check(one, out, raw)
    assert not same
    assert "broken, perhaps cut short" in lines[0]


def test_a_damaged_report_of_prepare_is_named(checked):
    one, out, raw = checked
    (out / "raw.json").write_text('{"rows": {"ratings": 3}}')
    with pytest.raises(InputError, match=r"raw\.json: not the report of a prepare"):
        check(one, out, raw)


def test_interactions_of_another_version_of_the_raw_file_are_told(checked):
    one, out, raw = checked
    unpinned = replace(one, files={"ratings": [RawFile("ratings.dat")]}, rows={}, statistics={})
    assert check(unpinned, out, raw)[1]
    (raw / "ratings.dat").write_bytes(RATINGS[:-24])
    lines, same = check(unpinned, out, raw)
    assert not same
    assert "made from another version: run llm4rec prepare" in lines[0]
