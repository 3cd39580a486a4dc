"""`fetch --check`: every difference is found, and only those."""

from __future__ import annotations

import gzip

import pytest

from llm4rec_recbole.datasets.fetch import git_blob, verify
from llm4rec_recbole.datasets.spec import DatasetSpec, RawFile
from llm4rec_recbole.errors import InputError
from tests.helpers.tiny_ratings import RATINGS, SUM, spec


def changed(one: DatasetSpec, **values) -> DatasetSpec:
    return one.model_copy(update=values)


@pytest.fixture
def checked(tmp_path):
    """A specification with all that --check compares, and its data set prepared."""
    from llm4rec_recbole.datasets.convert import convert

    raw, out = tmp_path / "raw", tmp_path / "tiny"
    raw.mkdir()
    (raw / "ratings.dat").write_bytes(RATINGS)
    one = spec(expected_rows={"ratings": 20_000}, expected_statistics={"users": 20_000, "items": 7})
    convert(one, raw, out)
    return one, out, raw


def test_a_check_finds_every_kind_of_difference(checked):
    one, out, raw = checked
    assert verify(one, out, raw)[1]
    lines, same = verify(changed(one, expected_rows={"ratings": 19_999}), out, raw)
    assert (same, "rows of ratings: 20,000, 19,999 expected" in lines) == (False, True)
    lines, same = verify(changed(one, expected_statistics={"items": 8}), out, raw)
    assert (same, "items: 7, 8 expected" in lines) == (False, True)
    (raw / "ratings.dat").write_bytes(RATINGS[:-1])
    assert not verify(one, out, raw)[1]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "tiny.inter: the file is empty"),
        ("{head}", "tiny.inter: no rows below the header"),
        ("{head}u\ti\n", "tiny.inter:2: 2 columns where the header has 3"),
    ],
)
def test_broken_interactions_are_named_by_a_check(checked, content, line):
    one, out, raw = checked
    head = "user_id:token\titem_id:token\ttimestamp:float\n"
    (out / "tiny.inter").write_text(content.format(head=head))
    with pytest.raises(InputError, match=line):
        verify(one, out, raw)


def test_a_file_that_only_git_knows_is_checked_by_its_sum(tmp_path):
    (tmp_path / "ratings.dat").write_bytes(RATINGS)
    right = git_blob(tmp_path / "ratings.dat")
    for blob, expected in ((right, True), ("0" * 40, False)):
        files = {"ratings": [RawFile(name="ratings.dat", git_blob=blob)]}
        lines, same = verify(
            DatasetSpec(dataset="tiny", format="movielens_dat", files=files), tmp_path, tmp_path
        )
        assert same is expected
        assert ("is right" in lines[0]) is expected


def test_packing_a_file_by_hand_does_not_lose_its_checksum(checked):
    one, out, raw = checked
    (raw / "ratings.dat").unlink()
    packed = raw / "ratings.dat.gz"
    packed.write_bytes(gzip.compress(RATINGS))
    lines, same = verify(one, out, raw)
    assert (same, lines[0]) == (True, "ratings.dat.gz: SHA-256 is right")
    packed.write_bytes(gzip.compress(RATINGS.replace(b"::5::", b"::1::")))
    lines, same = verify(one, out, raw)
    assert not same
    assert f"instead of {SUM}" in lines[0]
    packed.write_bytes(gzip.compress(RATINGS)[:-20])
    lines, same = verify(one, out, raw)
    assert not same
    assert "corrupt, perhaps cut short" in lines[0]


def test_a_damaged_report_of_prepare_is_named(checked):
    one, out, raw = checked
    (out / "raw.json").write_text('{"rows": {"ratings": 3}}')
    with pytest.raises(InputError, match=r"raw\.json: not a report of llm4rec prepare"):
        verify(one, out, raw)


def test_interactions_of_another_version_of_the_raw_file_are_reported(checked):
    one, out, raw = checked
    unpinned = changed(
        one,
        files={"ratings": [RawFile(name="ratings.dat")]},
        expected_rows={},
        expected_statistics={},
    )
    assert verify(unpinned, out, raw)[1]
    (raw / "ratings.dat").write_bytes(RATINGS[:-24])
    lines, same = verify(unpinned, out, raw)
    assert not same
    assert "made from another version: run llm4rec prepare" in lines[0]
