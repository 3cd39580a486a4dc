"""A run's second start reads the columnar cache, and its results are those of the file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from llm4rec_recbole.data import atomic, table_cache
from llm4rec_recbole.training.run import run


@pytest.mark.parametrize("model", ["EASE", "SASRec"])
def test_a_record_is_the_same_from_the_file_and_from_the_cache(
    options, two_cycles: Path, tmp_path: Path, monkeypatch, model: str
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(two_cycles, folder)

    def metrics() -> dict:
        given = options | {"data_path": str(folder), "epochs": 2, "eval_step": 1}
        record = json.loads(run(model, "two_cycles", options=given).read_text())
        return record["metrics"] | {"data": record["provenance"]["data_sha256"]}

    of_the_file = metrics()
    monkeypatch.setattr(table_cache, "LEAST_BYTES", 0)
    table_cache._memory.clear()
    assert metrics() == of_the_file  # makes the cache
    table_cache._memory.clear()
    monkeypatch.setattr(atomic, "_parse", lambda *given, **named: pytest.fail("parsed again"))
    assert metrics() == of_the_file
