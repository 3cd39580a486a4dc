"""Known bad files, each refused with its line."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4rec_recbole.data import atomic_format, table_cache
from llm4rec_recbole.data.atomic import read_atomic
from llm4rec_recbole.data.atomic_format import AtomicFormat, count_in_order
from llm4rec_recbole.data.dataset_files import DatasetFiles, dataset_folder
from llm4rec_recbole.errors import InputError

HEADER = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
ROWS = [b"u1\ti1\t4\t881250949\n", b"u1\ti2\t3.5\t881250950\n", b"u2\ti1\t-1e0\t0\n"]
VALID = HEADER + b"".join(ROWS)


def check(folder: Path, inter: bytes, **other: bytes) -> None:
    for suffix, content in {"inter": inter, **other}.items():
        (folder / f"tiny.{suffix}").write_bytes(content)
    DatasetFiles(folder, "tiny").check()


def refused(folder: Path, inter: bytes, message: str, line: int | None, **other: bytes) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        check(folder, inter, **other)
    assert caught.value.line == line
    assert Path(caught.value.file).name == f"tiny.{next(iter(other), 'inter')}"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "valid",
    [
        VALID,
        VALID.replace(b"\n", b"\r\n"),
        HEADER + ROWS[0],
        VALID.replace(b"u2", "ü\u2028".encode()),
        HEADER + b"u\ti\t.5\t" + b"8" * 120 + b"\n",
        HEADER + b"NAN\tNone1\t+5.\t1E9\n",
        HEADER + b"NA\tnull\t1\t1\n-1.#IND\tNone\t1\t2\n",
        HEADER + b'"u\t"i"\t0\t0\n',
    ],
)
def test_a_valid_file_passes(tmp_path, valid):
    check(tmp_path, valid)


@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"u\ti\t1\n", "3 columns where the header has 4"),
        (b"u\n", "1 column where the header has 4"),
        (b"\n", "1 column where the header has 4"),
        (b"u\ti\tj\t1\t5\n", "5 columns where the header has 4 (a value may not hold a tab)"),
        (b"u\t\t1\t5\n", "empty item_id"),
        (b"\ti\t1\t5\n", "empty user_id"),
        (b"u\ti\t1\tNaN\n", "column 'timestamp': 'NaN' is not a finite number"),
        (b"u\ti\t1\tinf\n", "'inf' is not a finite number"),
        (b"u\ti\t1\t1e999\n", "'1e999' is not a finite number"),
        (b"u\ti\t1\t" + b"9" * 400 + b"\n", "is not a finite number"),
        (b"u\ti\t1\t1998-04-22\n", "'1998-04-22' is not a finite number"),
        (b"u\ti\t1\t8.8.1\n", "'8.8.1' is not a finite number"),
        (b"u\ti\t1\t-\n", "'-' is not a finite number"),
        (b"u\ti\t1\t.\n", "'.' is not a finite number"),
        (b"u\ti\t1\t1_000\n", "'1_000' is not a finite number"),
        ("u\ti\t1\t１２\n".encode(), "'１２' is not a finite number"),
        (b"u\ti\t1\t\n", "column 'timestamp': empty"),
        (b"u\ti\t\t5\n", "column 'rating': empty"),
        (b"u\ti\tgood\t5\n", "column 'rating': 'good' is not a finite number"),
        (b"u\0\ti\t1\t5\n", "a NUL byte"),
        (b"u\xff\ti\t1\t5\n", "not valid UTF-8"),
        (b"u\r1\ti\t1\t5\n", "a carriage return inside a line"),
        (HEADER, "the header line again"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path, row, bad, message):
    refused(tmp_path, HEADER + b"".join([*ROWS[:row], bad, *ROWS[row:]]), message, row + 2)


@pytest.mark.parametrize("length", range(len(HEADER) + 1, len(VALID)))
def test_a_truncated_file_is_refused_unless_cut_between_lines(tmp_path, length):
    cut = VALID[:length]
    if cut.endswith(b"\n"):
        check(tmp_path, cut)
    else:
        refused(tmp_path, cut, "the last line has no end", cut.count(b"\n") + 1)


def test_a_bad_line_far_into_a_large_file_has_its_number(tmp_path, monkeypatch):
    monkeypatch.setattr("llm4rec_recbole.data.atomic._BLOCK_BYTES", 1000)
    rows = [b"user%d\ti\t1\t%d\n" % (n, n) for n in range(1000)]
    check(tmp_path, HEADER + b"".join(rows))
    for row in (0, 57, 500, 999):
        bad = [*rows[:row], b"u\ti\t1\tx\n", *rows[row + 1 :]]
        refused(tmp_path, HEADER + b"".join(bad), "'x' is not a finite number", row + 2)


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        (b"", "the file is empty", None),
        (HEADER, "no rows below the header", None),
        (HEADER[:-1], "the last line has no end", 1),
        (b"\n", "'' is not name:type", 1),
        (b"".join(ROWS), "'u1' is not name:type (the first line must name the columns", 1),
        (b'"' + VALID, "column 'user_id' is missing", 1),
        (VALID.replace(b"rating:float", b"rating:double"), "unknown type 'double'", 1),
        (VALID.replace(b"rating:", b"timestamp:"), "column 'timestamp' is named twice", 1),
        (VALID.replace(b"timestamp:float", b"timestamp:token"), "must be of type float", 1),
        (VALID.replace(b"user_id:token", b"user_id:float"), "must be of type token", 1),
        (b"\xef\xbb\xbf" + VALID, "byte order mark (save it as UTF-8 without one, or", 1),
    ],
)
def test_a_bad_header_or_an_empty_data_set_is_refused(tmp_path, content, message, line):
    refused(tmp_path, content, message, line)


def test_a_missing_column_is_named_with_those_present_and_the_nearest(tmp_path):
    message = (
        "column 'timestamp' is missing (there are user_id, item_id, rating, time_stamp; "
        "did you mean time_stamp?)"
    )
    refused(tmp_path, VALID.replace(b"timestamp", b"time_stamp"), message, 1)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"tiny\.inter: no such file"):
        DatasetFiles(tmp_path / "nowhere", "tiny").check()


def test_columns_selected_by_other_names_are_ids_too(tmp_path):
    (tmp_path / "tiny.inter").write_bytes(b"who:token\twhat:token\twhen:float\na\t\t1\n")
    with pytest.raises(InputError, match="empty what"):
        DatasetFiles(tmp_path, "tiny", AtomicFormat("who", "what", "when")).check()


ITEM_HEADER = b"item_id:token\ttitle:token_seq\tprice:float\tvector:float_seq\n"


@pytest.mark.parametrize(
    "row", [b"i\t\t\t\n", b"i\tM\t2.5\t1 -2.5 3e4\n", b'i\t"Weird Al" and "more\t1\t\n']
)
def test_a_side_file_may_have_gaps(tmp_path, row):
    check(tmp_path, VALID, item=ITEM_HEADER + row)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"\tM\t1\t1\n", "empty item_id"),
        (b"i\tM\tnan\t1\n", "column 'price': 'nan' is not a finite number"),
        (b"i\tM\t1\t1 x\n", "column 'vector': '1 x' is not a finite number"),
        (b"i\tM\t1\n", "3 columns where the header has 4"),
    ],
)
def test_a_bad_side_file_is_refused(tmp_path, bad, message):
    good = b"i\tM\t2.5\t1\n"
    refused(tmp_path, VALID, message, 3, item=ITEM_HEADER + good + bad + good)


def test_ml_100k_is_valid_and_checked_in_an_instant():
    seconds = []
    for _ in range(5):
        table_cache._memory.clear()
        start = time.process_time()
        DatasetFiles(dataset_folder("ml-100k"), "ml-100k").check()
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.3  # it is parsed as well


def test_what_has_no_end_is_refused_with_its_line(tmp_path, monkeypatch):
    monkeypatch.setattr("llm4rec_recbole.data.line_reader.MAX_LINE", 1000)
    monkeypatch.setattr("llm4rec_recbole.data.atomic._BLOCK_BYTES", 64)
    rows = "".join(f"u{n}\ti{n}\t{n}\n" for n in range(20))
    content = f"user_id:token\titem_id:token\ttimestamp:float\n{rows}".encode()
    (tmp_path / "toy.inter").write_bytes(content + bytes(5000))
    with pytest.raises(InputError, match=r"toy\.inter:22: a line longer than"):
        DatasetFiles(tmp_path, "toy").check()


# What RecBole's options say about a file is honoured.


@pytest.mark.parametrize("separator", [",", ";", " ", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16", "cp1252", "utf-8-sig"])
def test_separator_and_encoding_are_honoured(tmp_path, separator, encoding, monkeypatch):
    monkeypatch.setattr("llm4rec_recbole.data.atomic._BLOCK_BYTES", 100)
    rows = [["user_id:token", "item_id:token", "timestamp:float"]]
    rows += [[f"ü{n}", f"caf\xe9{n % 7}", f"{n}.5"] for n in range(60)]
    text = "".join(f"{separator.join(row)}\r\n" for row in rows)
    (tmp_path / "t.inter").write_bytes(text.encode(encoding))
    table = read_atomic(tmp_path / "t.inter", AtomicFormat(separator=separator, encoding=encoding))
    expected = [[user, item, float(time)] for user, item, time in rows[1:]]
    assert table.frame().to_numpy().tolist() == expected


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "utf-16"])
@pytest.mark.parametrize("line", [1, 2, 30, 61])
def test_text_in_another_encoding_is_refused_with_its_line(tmp_path, encoding, line, monkeypatch):
    monkeypatch.setattr("llm4rec_recbole.data.atomic._BLOCK_BYTES", 100)
    lines = ["user_id:token\titem_id:token\ttimestamp:float\n"]
    lines += [f"u{n}\ti{n}\t{n}\n" for n in range(60)]
    wrong = b"\x00\xd8u\x00" if encoding == "utf-16" else b"\xff"
    content = [text.encode(encoding) for text in lines]
    if encoding == "utf-16":
        content = [content[0], *(text[2:] for text in content[1:])]  # one byte order mark
    content[line - 1] = content[line - 1][:4] + wrong + content[line - 1][4:]
    (tmp_path / "t.inter").write_bytes(b"".join(content))
    with pytest.raises(InputError, match=f"not valid {encoding}" r"|not valid UTF-8") as caught:
        read_atomic(tmp_path / "t.inter", AtomicFormat(encoding=encoding))
    assert caught.value.line == line


def test_a_comma_where_a_tab_is_expected_names_the_option(tmp_path):
    (tmp_path / "t.inter").write_text("user_id:token,item_id:token\na,b\n")
    with pytest.raises(InputError, match="set --field_separator=','"):
        read_atomic(tmp_path / "t.inter")


CONFIG = {
    "USER_ID_FIELD": "u",
    "ITEM_ID_FIELD": "i",
    "TIME_FIELD": "t",
    "field_separator": "\t",
    "seq_separator": " ",
    "encoding": None,
    "benchmark_filename": None,
    "data_path": "x",
    "dataset": "d",
    "protocol": "loo",
}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("field_separator", "::"),
        ("field_separator", ""),
        ("field_separator", None),
        ("field_separator", "\n"),
        ("field_separator", '"'),
        ("field_separator", "\u2016"),
        ("encoding", "klingon"),
        ("encoding", "base64"),
        ("encoding", 8),
        ("seq_separator", ""),
        ("benchmark_filename", "train"),
        ("benchmark_filename", ["train", "test"]),
        ("benchmark_filename", ["train", "valid", "../test"]),
        ("benchmark_filename", ["train", "valid", 3]),
    ],
)
def test_an_unusable_option_is_named(option, value):
    with pytest.raises(InputError, match=f"^{option} is "):
        DatasetFiles.of(CONFIG | {option: value, "protocol": "recbole"})


def test_benchmark_parts_are_files_of_their_own():
    options = {"benchmark_filename": ["a", "b", "c"], "protocol": "recbole"}
    files = DatasetFiles.of(CONFIG | options)
    assert [path.name for path in files.interactions] == ["d.a.inter", "d.b.inter", "d.c.inter"]


@pytest.fixture
def parts(tmp_path):
    """A data set of three benchmark parts, two rows each."""
    for number, part in enumerate(("train", "valid", "test")):
        rows = [f"u{n}\ti{number}\t{1_700_000_000 + number}\n" for n in range(2)]
        header = "user_id:token\titem_id:token\ttimestamp:float\n"
        (tmp_path / f"d.{part}.inter").write_text(header + "".join(rows))
    return DatasetFiles(tmp_path, "d", parts=("train", "valid", "test"))


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_each_benchmark_part_is_checked(parts, part):
    parts.check()
    path = parts.path(f"{part}.inter")
    content = path.read_text()
    path.write_text(content + "u\ti\tx\n")
    with pytest.raises(InputError, match=rf"d\.{part}\.inter:4: column 'timestamp': 'x'"):
        parts.check()
    path.write_text(content.replace("item_id", "thing"))
    with pytest.raises(InputError, match=rf"d\.{part}\.inter:1: column 'item_id' is missing"):
        parts.check()
    path.unlink()
    with pytest.raises(InputError, match=rf"d\.{part}\.inter: no such file"):
        parts.check()


@pytest.mark.parametrize("part", ["valid", "test"])
def test_a_part_in_another_unit_of_time_is_refused(parts, part):
    path = parts.path(f"{part}.inter")
    text = path.read_text()
    path.write_text(text.replace("\n", "000\n").replace("float000", "float"))
    with pytest.raises(InputError, match=rf"d\.{part}\.inter:2: the time is in milliseconds"):
        parts.check()


@pytest.mark.parametrize("word", ["NA", "None", "null", "nan", "NaN", "N/A", "<NA>", "n/a", "-nan"])
def test_words_for_a_missing_value_are_tokens_in_every_column(tmp_path, word):
    (tmp_path / "t.item").write_text(
        f"item_id:token\tbrand:token\ttags:token_seq\n{word}\t{word}\t{word} {word}\nx\t\t\n"
    )
    frame = read_atomic(tmp_path / "t.item").frame()
    assert frame.iloc[0].tolist() == [word, word, f"{word} {word}"]
    assert frame.iloc[1].isna().tolist() == [False, True, True]


@pytest.mark.parametrize("kind", ["pipe", "null", "zero", "folder"])
def test_what_is_not_a_regular_file_is_refused(tmp_path, kind):
    path = tmp_path / "tiny.inter"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(f"/dev/{kind}")
    with pytest.raises(InputError, match=r"tiny\.inter: not a regular file"):
        DatasetFiles(tmp_path, "tiny").check()


def test_times_beyond_float64_stay_exact(tmp_path, monkeypatch):
    monkeypatch.setattr("llm4rec_recbole.data.atomic._BLOCK_BYTES", 64)
    times = [1_700_000_000_000_000_000 + n for n in range(20)]
    rows = "".join(f"u\ti{n}\t{time}\n" for n, time in enumerate(times))
    path = tmp_path / "t.inter"
    path.write_text(f"user_id:token\titem_id:token\ttimestamp:float\n{rows}")
    assert read_atomic(path).times("timestamp").tolist() == times
    path.write_text(f"user_id:token\titem_id:token\ttimestamp:float\n{rows}u\ti\t0.5\n")
    assert read_atomic(path).times("timestamp").tolist() == [*map(float, times), 0.5]


@given(st.lists(st.integers(-1, 3), max_size=20), st.booleans(), st.integers(1, 5))
def test_values_are_counted_where_they_are_numbered_in_the_order_of_first_rows(codes, factor, size):
    codes = np.array(codes, dtype=np.int32)
    if factor:
        codes = pd.factorize(codes)[0].astype(np.int8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic_format, "_CODES_AT_ONCE", size)
        count = count_in_order(codes)
    numbers, values = pd.factorize(codes)
    in_order = (numbers == codes).all() and (codes >= 0).all()
    assert count == (len(values) if in_order else None)
