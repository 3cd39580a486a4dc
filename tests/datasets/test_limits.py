"""A small hostile file cannot fill the memory: headers, JSON, lines and literals have limits."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import subprocess
import sys
import tarfile
import zipfile

import pytest

from llm4rec_recbole.data import line_reader
from llm4rec_recbole.datasets import raw_sources
from llm4rec_recbole.datasets.fetch import fetch
from llm4rec_recbole.datasets.readers.json_lines import read_json_object, read_objects
from llm4rec_recbole.errors import InputError
from tests.helpers.tiny_ratings import RATINGS, spec

GIGABYTE = 1 << 30


def tar_header(kind: bytes, size: int) -> bytes:
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "kind",
    [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE],
)
def test_a_tar_header_of_gigabytes_is_refused_before_it_is_read(tmp_path, kind):
    path = tmp_path / "own.tar.gz"
    path.write_bytes(gzip.compress(tar_header(kind, 3 * GIGABYTE) + bytes(1 << 20)))
    with pytest.raises(InputError, match=r"own\.tar\.gz: its headers are too long \(unpack it"):
        fetch(spec(), tmp_path / "raw", path)
    assert not (tmp_path / "raw").exists()


def write_tar(path, n_members, name="x" * 200, mode="w:gz"):
    with tarfile.open(path, mode, format=tarfile.GNU_FORMAT) as tar:
        for number in range(n_members):
            tar.addfile(tarfile.TarInfo(f"{name}{number}"))
        member = tarfile.TarInfo("ratings.dat")
        member.size = len(RATINGS)
        tar.addfile(member, io.BytesIO(RATINGS))


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [("MAX_HEADERS", 400, "headers are too long"), ("MAX_MEMBERS", 3, "holds too many files")],
)
def test_the_sum_of_many_tar_headers_has_a_limit(tmp_path, monkeypatch, limit, value, message):
    write_tar(tmp_path / "own.tar.gz", 5)
    fetch(spec(), tmp_path / "raw", tmp_path / "own.tar.gz")
    monkeypatch.setattr(raw_sources, limit, value)
    with pytest.raises(InputError, match=message):
        fetch(spec(), tmp_path / "raw", tmp_path / "own.tar.gz")


@pytest.mark.parametrize("headers", [{"GNU.sparse.map": "0,1", "GNU.sparse.size": "1"}])
def test_a_sparse_file_in_a_tar_is_refused(tmp_path, headers):
    with tarfile.open(tmp_path / "own.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("ratings.dat")
        member.pax_headers = headers
        tar.addfile(member)
    with pytest.raises(InputError, match="a sparse file"):
        fetch(spec(), tmp_path / "raw", tmp_path / "own.tar")


def test_a_zip_with_a_huge_directory_is_refused(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as archive:
        archive.writestr("ratings.dat", RATINGS)
    monkeypatch.setattr(raw_sources, "MAX_HEADERS", 50)
    with pytest.raises(InputError, match="its directory of files is too large"):
        fetch(spec(), tmp_path / "raw", tmp_path / "own.zip")


def test_xz_and_lzma_that_need_much_memory_are_refused(tmp_path, monkeypatch):
    write_tar(tmp_path / "own.tar", 1, mode="w")
    packed = lzma.compress((tmp_path / "own.tar").read_bytes(), preset=6)
    (tmp_path / "own.tar.xz").write_bytes(packed)
    with zipfile.ZipFile(tmp_path / "own.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("ratings.dat", RATINGS)
    for name in ("own.tar.xz", "own.zip"):
        fetch(spec(), tmp_path / "raw", tmp_path / name)
    monkeypatch.setattr(raw_sources, "MAX_LZMA", 1 << 18)
    with pytest.raises(InputError, match="Memory usage limit exceeded"):
        fetch(spec(), tmp_path / "raw", tmp_path / "own.tar.xz")
    with pytest.raises(InputError, match="too large to be unpacked from LZMA"):
        fetch(spec(), tmp_path / "raw", tmp_path / "own.zip")


def test_several_streams_of_xz_are_read(tmp_path):
    write_tar(tmp_path / "own.tar", 1, mode="w")
    content = (tmp_path / "own.tar").read_bytes()
    packed = lzma.compress(content[:1000]) + lzma.compress(content[1000:])
    (tmp_path / "own.tar.xz").write_bytes(packed)
    fetch(spec(), tmp_path / "raw", tmp_path / "own.tar.xz")
    assert (tmp_path / "raw" / "ratings.dat").read_bytes() == RATINGS


def test_a_json_file_has_a_limit(tmp_path):
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(b'{"a": "' + b"x" * (17 << 20) + b'"}'))
    with pytest.raises(InputError, match=r"a\.json\.gz: a JSON file of more than 16 MiB"):
        read_json_object(path)


def test_a_line_and_a_python_literal_have_limits(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'{"a": "' + b"x" * (17 << 20) + b'"}\n')
    with pytest.raises(InputError, match=r"a\.json:1: a line longer than 16 MiB"):
        next(read_objects(path))
    path.write_text("{'a': [" + "1," * (1 << 19) + "]}\n")
    with pytest.raises(InputError, match=r"a\.json:1: a Python literal of more than 1 MiB"):
        next(read_objects(path, python=True))


def test_a_gzip_file_that_unpacks_to_far_more_than_its_size_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(line_reader, "FREE_BYTES", 1 << 20)
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress((b'{"a": "' + b"x" * (1 << 20) + b'"}\n') * 8))
    rows = read_objects(path)
    with pytest.raises(InputError, match=r"a\.json\.gz:\d: .* more than 50 times its size"):
        list(rows)
    path.write_bytes(gzip.compress(b"".join(b'{"a": %d}\n' % n for n in range(1 << 18))))
    assert sum(1 for _ in read_objects(path)) == 1 << 18


MEASURE = """
import resource, sys
from pathlib import Path
from llm4rec_recbole.datasets.readers.json_lines import read_json_object, read_objects
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if sys.argv[1] == "file":
    read_json_object(Path(sys.argv[2]))
else:
    next(read_objects(Path(sys.argv[2]), python=True))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "line", "literal"])
def test_the_largest_permitted_json_needs_less_than_a_gigabyte(tmp_path, kind):
    path = tmp_path / "a.json"
    n_bytes = (1 << 20) - 100 if kind == "literal" else (1 << 24) - 100
    if kind == "literal":
        path.write_text("{'a': [" + "()," * (n_bytes // 3) + "]}\n")
    else:  # with a lone surrogate, so that it is copied
        path.write_text('{"a": ["\\ud800"' + ",{}" * (n_bytes // 3 - 10) + "]}\n")
        assert len(json.loads('{"a": ["\\ud800"]}')["a"]) == 1
    command = [sys.executable, "-c", MEASURE, "file" if kind == "file" else "line", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1000, "MiB"
