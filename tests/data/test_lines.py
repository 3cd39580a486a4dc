"""Lines of raw files: plain or gzip, and what cannot be trusted is refused with its line."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm4rec_recbole.data.line_reader import read_blocks, read_lines
from llm4rec_recbole.errors import InputError


def write(tmp_path, content: bytes):
    path = tmp_path / "file.txt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_lines_come_with_their_numbers(tmp_path, pack, end):
    path = write(tmp_path, pack(b"a" + end + end + "Amélie".encode() + end))
    assert list(read_lines(path)) == [(1, "a"), (2, ""), (3, "Amélie")]


def test_a_byte_order_mark_is_not_text(tmp_path):
    assert list(read_lines(write(tmp_path, b"\xef\xbb\xbfuserId\n"))) == [(1, "userId")]


def test_latin_1_is_read_where_it_is_expected_and_utf_8_is_still_utf_8(tmp_path):
    path = write(tmp_path, "Amélie\n".encode("latin-1") + "Amélie\n".encode())
    assert [line for _, line in read_lines(path, latin_1=True)] == ["Amélie", "Amélie"]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"a\nb\xff\nc\n", 2, "not valid UTF-8"),
        (b"a\nb\0\n", 2, "NUL byte"),
        (b"a\nb\nhalf a li", 3, "the last line has no end"),
        (gzip.compress(b"a\n" * 10_000, mtime=0)[:-12], None, "gzip file is cut short"),
        (gzip.compress(b"a\n" * 100_000, mtime=0)[:100], None, "gzip file is cut short"),
    ],
)
def test_what_cannot_be_trusted_is_refused_with_its_line(tmp_path, content, line, message):
    with pytest.raises(InputError, match=message) as error:
        list(read_lines(write(tmp_path, content)))
    assert error.value.file is not None
    assert error.value.line == line if line else error.value.line > 0


@pytest.mark.parametrize("n_bytes", [1 << 20, 1 << 25])
@pytest.mark.parametrize("cut", [40_000, 300])
def test_a_cut_gzip_is_named_with_its_last_whole_line(tmp_path, n_bytes, cut):
    text = "".join(f"{n}::{n * 2654435761 % 2**32}\n" for n in range(90_000)).encode()
    packed = gzip.compress(text)[:-cut]
    whole = zlib.decompressobj(wbits=31).decompress(packed).count(b"\n")
    with pytest.raises(InputError) as error:
        list(read_blocks(write(tmp_path, packed), n_bytes))
    assert whole - 2 <= error.value.line <= whole < 90_000


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.txt: no such file"):
        list(read_lines(tmp_path / "nowhere.txt"))


@settings(max_examples=40)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n\ufeff"))))
def test_every_text_comes_back(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("lines") / "file.txt"
    path.write_bytes(gzip.compress("".join(f"{text}\n" for text in texts).encode()))
    assert [line for _, line in read_lines(path)] == texts


@settings(max_examples=40)
@given(st.integers(min_value=1, max_value=80))
def test_a_gzip_cut_anywhere_is_never_taken_for_whole(tmp_path_factory, cut):
    """A cut line may look like any other; only the end of the stream shows it."""
    whole = gzip.compress("".join(f"{n}::{n * 7}::5::{n * 131}\n" for n in range(50)).encode())
    path = tmp_path_factory.mktemp("cut") / "file.gz"
    path.write_bytes(whole[: len(whole) - cut])
    with pytest.raises(InputError, match="cut short"):
        list(read_lines(path))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_what_has_no_end_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch, pack):
    """A download that broke off in a file of the final size ends in gigabytes of NUL bytes."""
    monkeypatch.setattr("llm4rec_recbole.data.line_reader.MAX_LINE", 1000)
    path = write(tmp_path, pack(b"a\nb\n" + bytes(5000)))
    with pytest.raises(InputError, match="line longer than") as error:
        list(read_blocks(path, 8))
    assert error.value.line == 3
    assert [n for n, _ in read_blocks(write(tmp_path, pack(b"a\n" + b"b" * 999 + b"\nc\n")), 2)]


def test_a_pipe_is_refused_and_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(InputError, match="not a regular file"):
            list(read_lines(path))
