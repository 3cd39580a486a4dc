"""Comparison of a new run with the committed one: which record it takes, and what it reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.paths import Run
from llm4rec_recbole.pipeline import verify
from tests.helpers.fake_results import add_run, ranks_around

POP = Run("ml-100k", "loo", "Pop", 0)


def add(
    results: Path, middle: int, processor: str, threads: int = 1, dtype: str | None = None
) -> None:
    record = add_run(results, "Pop", ranks_around(middle), seed=0)
    content = json.loads(record.read_text())
    content["metrics"]["valid"] = {"ndcg@10": 0.1}
    content["provenance"] |= {"hardware": f"{processor}, 2 cores", "threads": threads}
    if dtype:
        content["provenance"]["llm_dtype"] = dtype
    record.write_text(json.dumps(content))


def test_equal_runs_of_one_processor_pass(tmp_path: Path) -> None:
    for name in ("new", "results"):
        add(tmp_path / name, 30, "EPYC")
    comparison = verify.compare(POP, tmp_path / "new", [tmp_path / "results"])
    assert not comparison.failed
    assert "metrics and every user's ranks are equal" in str(comparison)


def test_other_numbers_on_the_same_processor_fail(tmp_path: Path) -> None:
    add(tmp_path / "new", 30, "EPYC")
    add(tmp_path / "results", 20, "EPYC")
    comparison = verify.compare(POP, tmp_path / "new", [tmp_path / "results"])
    assert comparison.failed
    assert "metrics differ (test.full.ndcg@10" in str(comparison)
    assert "rank_full differs for " in str(comparison)


def test_a_record_of_the_same_processor_wins(tmp_path: Path) -> None:
    add(tmp_path / "new", 30, "EPYC")
    add(tmp_path / "results", 20, "Xeon")
    add(tmp_path / "without_amx", 30, "EPYC")
    folders = [tmp_path / "results", tmp_path / "without_amx"]
    comparison = verify.compare(POP, tmp_path / "new", folders)
    assert (comparison.results, comparison.same_kind) == (folders[1], True)
    assert not comparison.failed


@pytest.mark.parametrize(
    ("processor", "threads", "dtype"),
    [("Xeon", 1, "float32"), ("EPYC", 2, "float32"), ("EPYC", 1, "bfloat16")],
)
def test_without_one_a_difference_is_reported_and_no_failure(
    tmp_path: Path, processor: str, threads: int, dtype: str
) -> None:
    add(tmp_path / "new", 30, "EPYC", dtype="float32")
    add(tmp_path / "results", 20, processor, threads, dtype)
    comparison = verify.compare(POP, tmp_path / "new", [tmp_path / "results"])
    assert comparison.differences
    assert not comparison.failed
    assert "another processor or precision: a difference is no failure" in str(comparison)


def test_a_record_without_a_type_is_of_a_run_in_float32(tmp_path: Path) -> None:
    add(tmp_path / "new", 30, "EPYC", dtype="float32")
    add(tmp_path / "results", 20, "EPYC")
    assert verify.compare(POP, tmp_path / "new", [tmp_path / "results"]).failed


def test_no_record_is_one_line(tmp_path: Path) -> None:
    add(tmp_path / "new", 30, "EPYC")
    with pytest.raises(InputError, match="there is no such record"):
        verify.compare(POP, tmp_path / "new", [tmp_path / "results"])
