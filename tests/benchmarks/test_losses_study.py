"""The table of losses, from runs that were not run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.studies import losses
from llm4rec_recbole.training.checks import checked_config


def fake(seed: int, epochs: int, threads: int, path: str, dataset: str, further: Any) -> dict:
    return {
        **{"seed": seed, "cpu_seconds": 10.0 + seed, "hardware": "a CPU"},
        **{
            "valid_ndcg@10": 0.1 + seed / 100,
            "test_ndcg@10": 0.09 if "negatives" in further else 0,
        },
    }


def test_every_loss_is_run_once_for_each_seed(tmp_path: Path, monkeypatch: Any) -> None:
    calls = []
    monkeypatch.setattr(losses, "one_run", lambda *given: calls.append(given) or fake(*given))
    words = ["--datasets", "ml-100k", "--output", str(tmp_path)]
    losses.main([*words, "--seeds", "0"])
    losses.main([*words, "--seeds", "0", "2"])
    assert len(calls) == 2 * len(losses.LOSSES)  # seed 0 is not repeated
    assert len(json.loads((tmp_path / "losses.json").read_text())) == len(calls)
    page = (tmp_path / "losses.md").read_text()
    assert "| gbce | 0, 2 | 0.1100 ± 0.0141 | 0.0000 ± 0.0000 | 11 |" in page
    assert "| sampled, in_batch | 0, 2 | 0.1100 ± 0.0141 | 0.0900 ± 0.0000 | 11 |" in page


@pytest.mark.parametrize("loss", losses.LOSSES)
def test_the_options_of_every_loss_are_read(loss: str) -> None:
    options = losses.common_options() | losses.LOSSES[loss] | {"epochs": 1}
    checked_config("SASRec", "ml-100k", (), options)
