"""JSON, YAML and CSV files of results: damage, NaN and numbers beyond float64 are one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from llm4rec_recbole.analysis.paired_tests import Comparison, read_comparisons, write_comparisons
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import read_json

ROW = Comparison(
    "table_1", "ml-100k", "loo", "full", "hit@10", "A", "B", 0.5, 0.25, 0.75, 1.0, 0.01, 0.02, 0.03,
    users=943, smallest_detectable=0.125, conclusion="better",
)  # fmt: skip


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
    write_comparisons(path, [ROW, ROW])
    first, whole, bad = path.read_text().splitlines()
    path.write_text("\n".join([first, whole, bad.replace(",0.5,", f",{value},")]))
    with pytest.raises(InputError, match=r"comparisons\.csv:3: not a comparison"):
        read_comparisons(path)


def test_good_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, 2.5, null]}')
    assert read_json(tmp_path / "a.json") == {"a": [1, 2.5, None]}
    write_comparisons(tmp_path / "a.csv", [ROW])
    assert read_comparisons(tmp_path / "a.csv") == [ROW]


def test_an_older_table_has_no_conclusions(tmp_path: Path) -> None:
    path = tmp_path / "comparisons.csv"
    write_comparisons(path, [ROW])
    path.write_text("\n".join(line.rpartition(",")[0] for line in path.read_text().splitlines()))
    assert read_comparisons(path) == [replace(ROW, conclusion="")]
