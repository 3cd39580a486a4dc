"""Arrays in a file come back as they were; any change of the content changes its checksum."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from llm4rec_recbole.data.array_file import (
    checksum,
    header,
    map_arrays,
    read_header,
    write_arrays,
)


def test_arrays_come_back_with_their_types(tmp_path: Path) -> None:
    arrays = {"a": np.arange(5, dtype=np.int32), "none": np.zeros(0), "c": np.array([1.5, -2])}
    write_arrays(tmp_path / "x", {"version": 1}, arrays | {"n": np.arange(300_000)}, {"n": "i4"})
    about, read = map_arrays(tmp_path / "x")
    narrow = read.pop("n")
    assert narrow.dtype == np.int32
    assert (narrow == np.arange(300_000)).all()
    assert about["version"] == 1
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        assert read[name].tolist() == array.tolist()


@pytest.mark.parametrize("size", [0, 1, 7, 8, 1000, (1 << 20) + 8, (2 << 20) + 3])
def test_a_changed_byte_or_another_length_changes_the_checksum(size: int) -> None:
    content = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8).tobytes()
    whole = checksum(content)
    assert checksum(content + b"x") != whole
    for at in {0, size // 2, size - 1} & set(range(size)):
        assert checksum(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]) != whole


def test_a_changed_first_line_is_refused(tmp_path: Path) -> None:
    write_arrays(tmp_path / "x", {"rows": 12}, {"a": np.arange(4)}, {})
    content = (tmp_path / "x").read_bytes()
    (tmp_path / "x").write_bytes(content.replace(b'"rows": 12', b'"rows": 13'))
    for read in (map_arrays, read_header):
        with pytest.raises(ValueError, match="first line has another checksum"):
            read(tmp_path / "x")


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    write_arrays(tmp_path / "x", {}, {"a": np.arange(4)}, {})
    line, _, content = (tmp_path / "x").read_bytes().partition(b"\n")
    about = json.loads(line.replace(b'"<i8"', b'"|O8"'))
    del about["sum"]
    (tmp_path / "x").write_bytes(header(about) + content)
    with pytest.raises(ValueError, match="an array of type"):
        map_arrays(tmp_path / "x")
