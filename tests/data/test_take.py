"""Fetching from an own copy: all shapes are taken, nothing half, nothing that does harm."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile

import pytest
from toy import RATINGS, source

from llm4rec_recbole.data.fetch import fetch
from llm4rec_recbole.data.take import git_blob
from llm4rec_recbole.errors import InputError


@pytest.fixture(params=["folder", "zip", "tar", "tar.gz", "gz", "file"])
def own_copy(request, tmp_path):
    """The user's own copy of the ratings, in each shape."""
    folder = tmp_path / "own"
    (folder / "deep").mkdir(parents=True)
    plain = folder / "deep" / "ratings.dat"
    plain.write_bytes(RATINGS)
    place = tmp_path / f"own.{request.param}"
    if request.param == "folder":
        return folder
    if request.param == "zip":
        with zipfile.ZipFile(place, "w") as archive:
            archive.write(plain, "deep/ratings.dat")
    elif request.param.startswith("tar"):
        with tarfile.open(place, "w:gz" if request.param.endswith("gz") else "w") as tar:
            tar.add(plain, "deep/ratings.dat")
    elif request.param == "gz":
        place = tmp_path / "ratings.dat.gz"
        place.write_bytes(gzip.compress(RATINGS))
    else:
        place = plain
    return place


def test_an_own_copy_is_taken_in_every_shape(own_copy, tmp_path):
    fetch(source(accept="the terms"), tmp_path / "raw", own_copy)
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
        fetch(source(), tmp_path / "raw", tmp_path / "own")
    assert not (tmp_path / "raw").exists()


def test_a_link_in_a_tar_is_not_followed(tmp_path):
    with tarfile.open(tmp_path / "own", "w") as tar:
        link = tarfile.TarInfo("ratings.dat")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(InputError, match=r"there is no ratings\.dat in it"):
        fetch(source(), tmp_path / "raw", tmp_path / "own")


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
        fetch(source(), tmp_path / "raw", tmp_path / name)
    assert (tmp_path / "raw" / "ratings.dat").read_bytes() == b"old"


def with_a_password(archive):
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        archive[archive.index(header) + flags] |= 1


def packed_in_a_new_way(archive):
    for header, method in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        archive[archive.index(header) + method] = 99


@pytest.mark.parametrize("change", [with_a_password, packed_in_a_new_way])
def test_a_zip_that_python_cannot_open_is_told_and_what_to_do(tmp_path, change):
    escaping_zip(tmp_path / "own.zip", "harmless")
    archive = bytearray((tmp_path / "own.zip").read_bytes())
    change(archive)
    (tmp_path / "own.zip").write_bytes(archive)
    with pytest.raises(
        InputError, match=r"own\.zip: cannot read ratings\.dat: .*unpack it yourself"
    ):
        fetch(source(), tmp_path / "raw", tmp_path / "own.zip")


def test_a_damaged_lzma_is_a_broken_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "own.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("ratings.dat", RATINGS * 3)
    content = bytearray((tmp_path / "own.zip").read_bytes())
    content[60:80] = b"\xff" * 20
    (tmp_path / "own.zip").write_bytes(content)
    with pytest.raises(InputError, match="broken"):
        fetch(source(), tmp_path / "raw", tmp_path / "own.zip")


def test_gits_sum_of_a_file(tmp_path):
    (tmp_path / "hello").write_bytes(b"hello\n")  # echo hello | git hash-object --stdin
    assert git_blob(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"
