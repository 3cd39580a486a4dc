"""The type that is measured to be faster is chosen once and then read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from llm4rec_recbole.language_models import compute_dtype as module
from llm4rec_recbole.language_models.compute_dtype import (
    compute_dtype,
    measured_dtype,
    seconds_of_a_layer,
)


@pytest.mark.parametrize(
    ("bfloat16", "chosen"), [(0.5, "bfloat16"), (0.95, "float32"), (2.0, "float32")]
)
def test_bfloat16_needs_a_gain_of_a_tenth(
    bfloat16: float, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {"float32": 1.0, "bfloat16": bfloat16}
    monkeypatch.setattr(module, "seconds_of_a_layer", lambda dtype, device: seconds[dtype])
    assert measured_dtype("cpu", tmp_path / "dtype.json") == chosen


def test_the_first_answer_is_stored_and_another_machine_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def measure(dtype: str, device: str) -> float:
        calls.append(dtype)
        return 1.0

    monkeypatch.setattr(module, "seconds_of_a_layer", measure)
    stored = tmp_path / "work" / "dtype.json"
    assert measured_dtype("cpu", stored) == measured_dtype("cpu", stored) == "float32"
    assert calls == ["float32", "bfloat16"]
    monkeypatch.setattr(module, "processor_name", lambda: "another processor")
    measured_dtype("cpu", stored)
    assert len(calls) == 4
    assert len(json.loads(stored.read_text())) == 2


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 1}', "{", '{"x": {"dtype": "int8"}}'])
def test_a_damaged_file_is_replaced(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "seconds_of_a_layer", lambda dtype, device: 1.0)
    stored = tmp_path / "dtype.json"
    stored.write_text(content)
    assert measured_dtype("cpu", stored) == "float32"
    assert len(json.loads(stored.read_text())) == 1


def test_the_measurement_gives_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.0)
    assert 0 < seconds_of_a_layer("float32", "cpu") < 60


def test_the_option_reads_the_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        module, "seconds_of_a_layer", lambda dtype, device: 1.0 + (dtype == "float32")
    )
    assert compute_dtype("measured", "cpu") is torch.bfloat16
    assert (tmp_path / "work" / "compute_dtype.json").is_file()
