"""Any corruption of a valid file is refused with the right line, or harmless.

Harmless means: RecBole gets the fields as they are written.
"""

from __future__ import annotations

import math

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llm4rec_recbole.data.atomic import read_atomic
from llm4rec_recbole.data.dataset_files import DatasetFiles
from llm4rec_recbole.errors import InputError

HEADER = "user_id:token\titem_id:token\trating:float\ttimestamp:float"


def rows(times: st.SearchStrategy[float]) -> st.SearchStrategy[list[str]]:
    """Rows of one file."""
    user = st.sampled_from(["196", "A1", "ü", "n"])
    numbers = st.integers(0, 999), st.integers(-9, 9)
    row = st.builds("{}\t{}\t{}\t{!r}\n".format, user, *numbers, times)
    return st.lists(row, min_size=1, max_size=6)


# Times below 10⁸ beside larger ones could be two units, which are refused.
tables = rows(st.floats(0, 9e7)) | rows(st.floats(1e8, 9e9))
files = tables.map(lambda table: f"{HEADER}\n{''.join(table)}")
marks = ["\t", "\t\t\t", "\n", "\n\n", "\r", "\r\n", '"', '""', "\0", "\ufeff", " ", "", "e", "-"]
words = ["NA", "null", "nan", "inf", "1_0", ".", "1..2", "１", HEADER, f"{HEADER}\n"]
garbage = st.sampled_from([text.encode() for text in marks + words]) | st.binary(max_size=3)


@st.composite
def corruptions(draw) -> tuple[bytes, bytes]:
    """(valid file, the same with bytes or whole fields replaced, inserted, removed, or cut off)"""
    valid = draw(files).encode()
    edges = [0, *(at + end for at, byte in enumerate(valid) if byte in b"\t\n" for end in (0, 1))]
    if draw(st.booleans()):
        start, stop = sorted(draw(st.tuples(st.sampled_from(edges), st.sampled_from(edges))))
        if draw(st.booleans()):
            stop = next((edge for edge in edges if edge > start), start)
    else:
        start = draw(st.integers(0, len(valid)))
        stop = draw(st.sampled_from([start, start + 1, start + 2, start + 20, len(valid)]))
    return valid, valid[:start] + draw(garbage) + valid[stop:]


def lines_touched(valid: bytes, corrupt: bytes) -> range:
    """The numbers of the lines of `corrupt` that differ from `valid`."""
    shorter = min(len(valid), len(corrupt))
    differ = np.frombuffer(valid[:shorter], np.uint8) != np.frombuffer(corrupt[:shorter], np.uint8)
    first = int(differ.argmax()) if differ.any() else shorter
    back = next((n for n in range(shorter) if valid[-1 - n] != corrupt[-1 - n]), shorter)
    last = max(first, len(corrupt) - back)
    return range(corrupt.count(b"\n", 0, first) + 1, corrupt.count(b"\n", 0, last) + 2)


@settings(max_examples=200)
@given(corruptions())
@example((f"{HEADER}\n1\t2\t3\t4\n".encode(), f"{HEADER}\n\ufeff1\t2\t3\t4\n".encode()))
@example((f"{HEADER}\n1\t2\t3\t4\n".encode(), f'"{HEADER}\n1\t2\t3\t4\n'.encode()))
@example(
    (
        f"{HEADER}\n1\t2\t3\t1000000000\n1\t3\t3\t1000000000\n".encode(),
        f"{HEADER}\n1\t2\t3\t100000000e5\n1\t3\t3\t1000000000\n".encode(),
    )
)
def test_a_corruption_is_refused_with_its_line_or_harmless(tmp_path_factory, pair):
    valid, corrupt = pair
    folder = tmp_path_factory.mktemp("corrupt")
    (folder / "tiny.inter").write_bytes(valid)
    DatasetFiles(folder, "tiny").check()
    (folder / "tiny.inter").write_bytes(corrupt)
    error = None
    try:
        DatasetFiles(folder, "tiny").check()
    except InputError as caught:
        error = caught
    if error is not None and error.line is None:
        assert corrupt.count(b"\n") <= 1  # nothing, or nothing but a header
        return
    if error is not None:
        touched = set(lines_touched(valid, corrupt))
        if 2 in touched and "the times above it" in error.message:
            return  # the first row has another unit now, so the error names the next row
        # a header that lost or gained a column is found out by the first row
        assert error.line in (touched | {2} if 1 in touched else touched)
        return
    written = [
        line.split("\t") for line in corrupt.decode().replace("\r\n", "\n").split("\n")[1:-1]
    ]
    expected = [[user, item, float(rating), float(time)] for user, item, rating, time in written]
    assert all(math.isfinite(value) for row in expected for value in row[2:])
    assert read_atomic(folder / "tiny.inter").frame().to_numpy().tolist() == expected
