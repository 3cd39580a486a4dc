"""JSON, YAML and CSV files of results: damage, NaN and numbers beyond float64 are one line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import read_json, read_rows


@dataclass(frozen=True)
class Row:
    name: str
    value: float


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[NaN]", "not a finite number: NaN"),
        (b'{"a": -Infinity}', "not a finite number: -Infinity"),
        (b"[1e999]", "not a finite number: 1e999"),
        (b"[" + b"9" * 400 + b"]", "not a finite number: 999"),
        (b"[\n1,", ":2: not JSON"),
        (b"\xff\xfe", "not JSON: the file is not text"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_bad_json_is_one_line(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(text)
    with pytest.raises(InputError) as error:
        read_json(path)
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "", "x"])
def test_a_number_in_a_table_is_finite(tmp_path: Path, value: str) -> None:
    path = tmp_path / "comparisons.csv"
    path.write_text(f"name,value\na,1.0\nb,{value}\n")
    with pytest.raises(InputError, match=r"comparisons\.csv:3: "):
        read_rows(path, Row, hint="run it again")


def test_good_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, 2.5, null]}')
    (tmp_path / "a.csv").write_text("name,value\na,1.0\n")
    assert read_json(tmp_path / "a.json") == {"a": [1, 2.5, None]}
    assert read_rows(tmp_path / "a.csv", Row, hint="") == [Row("a", 1.0)]
