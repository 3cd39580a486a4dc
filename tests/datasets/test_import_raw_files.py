"""Fetching from an own copy: all shapes are taken, nothing half, nothing that does harm."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import tarfile
import zipfile

import pytest

from llm4rec_recbole.datasets.fetch import fetch, git_blob
from llm4rec_recbole.datasets.spec import DatasetSpec, RawFile
from llm4rec_recbole.errors import InputError
from tests.helpers.tiny_ratings import RATINGS, spec


@pytest.fixture(params=["folder", "zip", "tar", "tar.gz", "gz", "file"])
def own_copy(request, tmp_path):
    """The user's own copy of the ratings, in each shape."""
    folder = tmp_path / "own"
    (folder / "deep").mkdir(parents=True)
    plain = folder / "deep" / "ratings.dat"
    plain.write_bytes(RATINGS)
    path = tmp_path / f"own.{request.param}"
    if request.param == "folder":
        return folder
    if request.param == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(plain, "deep/ratings.dat")
    elif request.param.startswith("tar"):
        with tarfile.open(path, "w:gz" if request.param.endswith("gz") else "w") as tar:
            tar.add(plain, "deep/ratings.dat")
    elif request.param == "gz":
        path = tmp_path / "ratings.dat.gz"
        path.write_bytes(gzip.compress(RATINGS))
    else:
        path = plain
    return path


def test_an_own_copy_is_taken_in_every_shape(own_copy, tmp_path):
    fetch(spec(license_agreement="the terms"), tmp_path / "raw", own_copy)
    assert (tmp_path / "raw" / "ratings.dat").read_bytes() == RATINGS


def escaping_zip(path, name):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ratings.dat", RATINGS)
        archive.writestr(name, "harm")


def escaping_tar(path, name):
    with tarfile.open(path, "w") as tar:
        for inside, content in (("ratings.dat", RATINGS), (name, b"harm")):
            member = tarfile.TarInfo(inside)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("pack", [escaping_zip, escaping_tar])
@pytest.mark.parametrize("name", ["../harm", "a/../../harm", "/tmp/harm", "..\\harm", "C:/harm"])
def test_an_archive_with_a_path_that_leaves_its_folder_is_refused(tmp_path, pack, name):
    pack(tmp_path / "own", name)
    with pytest.raises(InputError, match="leaves the archive's folder"):
        fetch(spec(), tmp_path / "raw", tmp_path / "own")
    assert not (tmp_path / "raw").exists()


def test_a_link_in_a_tar_is_not_followed(tmp_path):
    with tarfile.open(tmp_path / "own", "w") as tar:
        link = tarfile.TarInfo("ratings.dat")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(InputError, match=r"there is no ratings\.dat in it"):
        fetch(spec(), tmp_path / "raw", tmp_path / "own")


@pytest.mark.parametrize("name", ["ratings.dat.gz", "own.zip", "own.tar.gz"])
def test_a_truncated_archive_is_refused_and_the_old_file_stays(tmp_path, name):
    whole = tmp_path / "whole"
    if name == "ratings.dat.gz":
        whole.write_bytes(gzip.compress(RATINGS))
    elif name == "own.zip":
        escaping_zip(whole, "harmless")
    else:
        with tarfile.open(whole, "w:gz") as tar:
            member = tarfile.TarInfo("ratings.dat")
            member.size = len(RATINGS)
            tar.addfile(member, io.BytesIO(RATINGS))
    content = whole.read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) * 2 // 3])
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "ratings.dat").write_bytes(b"old")
    with pytest.raises(InputError):
        fetch(spec(), tmp_path / "raw", tmp_path / name)
    assert (tmp_path / "raw" / "ratings.dat").read_bytes() == b"old"


def with_a_password(archive):
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        archive[archive.index(header) + flags] |= 1


def packed_in_a_new_way(archive):
    for header, method in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        archive[archive.index(header) + method] = 99


@pytest.mark.parametrize("change", [with_a_password, packed_in_a_new_way])
def test_a_zip_that_python_cannot_open_is_reported_and_what_to_do(tmp_path, change):
    escaping_zip(tmp_path / "own.zip", "harmless")
    archive = bytearray((tmp_path / "own.zip").read_bytes())
    change(archive)
    (tmp_path / "own.zip").write_bytes(archive)
    with pytest.raises(
        InputError, match=r"own\.zip: cannot read ratings\.dat: .*unpack it yourself"
    ):
        fetch(spec(), tmp_path / "raw", tmp_path / "own.zip")


def test_a_damaged_lzma_is_a_broken_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "own.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("ratings.dat", RATINGS * 3)
    content = bytearray((tmp_path / "own.zip").read_bytes())
    content[60:80] = b"\xff" * 20
    (tmp_path / "own.zip").write_bytes(content)
    with pytest.raises(InputError, match="corrupt"):
        fetch(spec(), tmp_path / "raw", tmp_path / "own.zip")


def test_gits_sum_of_a_file(tmp_path):
    (tmp_path / "hello").write_bytes(b"hello\n")  # echo hello | git hash-object --stdin
    assert git_blob(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"


def reviews() -> DatasetSpec:
    """A data set without checksums: packed reviews, and metadata that may be missing."""
    files = {
        "reviews": [RawFile(name="reviews.json.gz"), RawFile(name="reviews.txt")],
        "items": [RawFile(name="meta.json", optional=True)],
    }
    return DatasetSpec(dataset="tiny", format="amazon_2014", files=files)


def folder_of(path, **files):
    path.mkdir()
    for name, content in files.items():
        (path / name.replace("_", ".")).write_bytes(content)
    return path


def test_a_file_of_an_earlier_fetch_that_stays_is_reported(tmp_path):
    first = folder_of(tmp_path / "a", reviews_json_gz=gzip.compress(b"old"), meta_json=b"{}")
    second = folder_of(tmp_path / "b", reviews_txt=b"new")
    fetch(reviews(), tmp_path / "raw", first)
    lines = fetch(reviews(), tmp_path / "raw", second)
    for line, name in zip(lines, ("reviews.json.gz", "meta.json")):
        stays = f"{tmp_path / 'raw' / name} is of an earlier fetch and is read: remove it"
        assert stays in line
    assert (tmp_path / "raw" / "meta.json").read_bytes() == b"{}"


@pytest.mark.parametrize("wrong", ["lacking", "other"])
def test_all_files_are_taken_or_none(tmp_path, wrong):
    files = {"items": [RawFile(name="items.dat")], **spec().files}
    two = DatasetSpec(dataset="tiny", format="movielens_dat", files=files)
    raw = folder_of(tmp_path / "raw", items_dat=b"old", ratings_dat=RATINGS)
    own = folder_of(tmp_path / "own", items_dat=b"new")
    if wrong == "other":
        (own / "ratings.dat").write_bytes(b"other")
    with pytest.raises(InputError):
        fetch(two, raw, own)
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == {
        "items.dat": b"old",
        "ratings.dat": RATINGS,
    }


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "it is empty"),
        (b"\n<!DOCTYPE html><p>Log in", "a web page"),
        (b"Too many requests", "not a complete gzip"),
        (gzip.compress(RATINGS)[:-9], "not a complete gzip"),
        (gzip.compress(RATINGS)[:-8] + b"\0" * 8, "not a complete gzip"),
    ],
)
def test_without_a_checksum_a_truncated_gzip_is_refused_and_the_old_one_stays(
    tmp_path, content, line
):
    old = gzip.compress(RATINGS)
    raw = folder_of(tmp_path / "raw", reviews_json_gz=old)
    with pytest.raises(InputError, match=f"{line}.*an older version stays"):
        fetch(reviews(), raw, folder_of(tmp_path / "own", reviews_json_gz=content))
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == {"reviews.json.gz": old}


def test_a_tar_whose_content_was_changed_is_refused(tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("reviews.txt")
        member.size = len(RATINGS)
        tar.addfile(member, io.BytesIO(RATINGS))
    content = gzip.compress(packed.getvalue())
    (tmp_path / "own.tar.gz").write_bytes(content[:-8] + b"\0\0\0\0" + content[-4:])
    with pytest.raises(InputError, match="a corrupt archive, perhaps cut short: CRC"):
        fetch(reviews(), tmp_path / "raw", tmp_path / "own.tar.gz")
    assert not (tmp_path / "raw").exists()


def test_a_damaged_bz2_is_a_broken_archive(tmp_path):
    escaping_tar(tmp_path / "own.tar", "harmless")
    content = bytearray(bz2.compress((tmp_path / "own.tar").read_bytes(), 1))
    middle = len(content) // 2
    content[middle : middle + 99] = bytes(99)
    (tmp_path / "own.tar.bz2").write_bytes(content)
    with pytest.raises(InputError, match=r"own\.tar\.bz2: a corrupt archive"):
        fetch(spec(), tmp_path / "raw", tmp_path / "own.tar.bz2")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "it is empty"),
        (b"\x13\x07" * 99, "neither a zip nor a tar nor a gzip"),
        (b"PK\3\4" + RATINGS, "begins as a zip does but is incomplete"),
        (b"<html>Log in</html>", "looks like a web page"),
        (gzip.compress(RATINGS), "a gzip, but not of a tar"),
    ],
)
def test_a_file_that_is_not_an_archive_is_reported_with_its_type(tmp_path, content, line):
    (tmp_path / "ml.zip").write_bytes(content)
    with pytest.raises(InputError, match=rf"ml\.zip: there is no ratings\.dat in it \(.*{line}"):
        fetch(spec(), tmp_path / "raw", tmp_path / "ml.zip")


def test_an_archive_within_an_archive_is_reported(tmp_path):
    with zipfile.ZipFile(tmp_path / "Yelp-JSON.zip", "w") as archive:
        for name in ("__MACOSX/._all.tar", "terms.pdf", "readme", "about", "data/all.tar"):
            archive.writestr(name, "")
    held = "it holds terms.pdf, readme, about and 1 more; data/all.tar is an archive: unpack it"
    with pytest.raises(InputError, match=held):
        fetch(spec(), tmp_path / "raw", tmp_path / "Yelp-JSON.zip")


def test_a_folder_that_may_not_be_read_is_reported(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "own").mkdir()
    monkeypatch.setattr(os, "listdir", refuse)  # root, who runs tests in containers, may read all
    with pytest.raises(PermissionError):
        fetch(spec(), tmp_path / "raw", tmp_path / "own")


def test_a_folder_in_an_archive_may_have_a_colon_in_its_name(tmp_path):
    escaping_zip(tmp_path / "own", "My: data/readme")
    fetch(spec(), tmp_path / "raw", tmp_path / "own")
    assert (tmp_path / "raw" / "ratings.dat").is_file()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_and_place_in_a_zip_are_refused(tmp_path):
    escaping_zip(tmp_path / "own.zip", "ratings.dat")
    with pytest.raises(InputError, match=r"several ratings\.dat \(unpack it yourself"):
        fetch(spec(), tmp_path / "raw", tmp_path / "own.zip")


def damaged_zip(path, header, at, value):
    """A zip one field of which, `at` bytes behind each such `header`, is `value`."""
    escaping_zip(path, "harmless")
    content = bytearray(path.read_bytes())
    start = content.index(header)
    content[start + at : start + at + len(value)] = value
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("header", "at", "value"),
    [
        (b"PK\1\2", 6, b"\xc8"),  # the version that is needed to read it
        (b"PK\5\6", 16, b"\xff\xff\xff\x7f"),  # where the directory begins
        (b"PK\1\2", 42, b"\xff\xff\xff\x7f"),  # where the file begins
    ],
)
def test_a_damaged_zip_is_one_line(tmp_path, header, at, value):
    damaged_zip(tmp_path / "own.zip", header, at, value)
    with pytest.raises(InputError):
        fetch(spec(), tmp_path / "raw", tmp_path / "own.zip")
    assert not (tmp_path / "raw").exists()


def test_a_name_that_is_no_text_is_a_broken_archive(tmp_path):
    path = tmp_path / "own.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Amélie", RATINGS)
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xff"))
    with pytest.raises(InputError, match=r"own\.zip: a corrupt archive, .*can't decode"):
        fetch(spec(), tmp_path / "raw", path)


@pytest.mark.parametrize("headers", [{"GNU.sparse.map": "a,b"}, {"GNU.sparse.size": "x"}])
def test_a_damaged_tar_header_is_a_broken_archive(tmp_path, headers):
    with tarfile.open(tmp_path / "own.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("ratings.dat")
        member.size, member.pax_headers = len(RATINGS), headers
        tar.addfile(member, io.BytesIO(RATINGS))
    with pytest.raises(InputError):
        fetch(spec(), tmp_path / "raw", tmp_path / "own.tar")


@pytest.mark.parametrize("nth", [1, 2])
def test_a_disk_that_is_full_at_any_file_takes_none(tmp_path, full_at, nth):
    two = DatasetSpec(
        dataset="tiny",
        format="movielens_dat",
        files={r: [RawFile(name=f"{r}.dat")] for r in ("ratings", "items")},
    )
    folder_of(tmp_path / "raw", ratings_dat=b"old", items_dat=b"old")
    folder_of(tmp_path / "own", ratings_dat=b"new", items_dat=b"new")
    full_at(nth)
    with pytest.raises(OSError, match="No space left"):
        fetch(two, tmp_path / "raw", tmp_path / "own")
    left = {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()}
    assert left == {"ratings.dat": b"old", "items.dat": b"old"}


def test_tar_headers_that_announce_each_other_without_end_are_a_broken_archive(tmp_path):
    with tarfile.open(tmp_path / "own.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        for _ in range(1200):
            member = tarfile.TarInfo("././@LongLink")
            member.type, member.size = tarfile.GNUTYPE_LONGNAME, 5
            tar.addfile(member, io.BytesIO(b"name\0"))
    with pytest.raises(InputError, match=r"own\.tar: "):
        fetch(spec(), tmp_path / "raw", tmp_path / "own.tar")
