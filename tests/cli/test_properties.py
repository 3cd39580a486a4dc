"""Property files explain every option, and promise what the committed records hold."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
FILES = sorted((TOP / "properties").glob("*.yaml"))
FILES += [
    f for kind in ("model", "dataset", "protocol") for f in (TOP / "properties" / kind).glob("*")
]
MODELS = sorted((TOP / "properties" / "model").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_option_says_what_it_is(file):
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# ")
    for line in re.findall(r"^\w+:.*$", text, re.MULTILINE):
        assert re.search(r" # \((str|int|float|bool|list|dict)\)", line), line


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_a_models_file_tells_its_command_and_the_score_of_the_committed_record(file):
    text = file.read_text(encoding="utf-8")
    assert f"run_recbole --model={file.stem} --dataset=ml-100k" in text
    record = TOP / "results" / "runs" / "ml-100k" / "loo" / file.stem / "seed_0.json"
    if not record.exists():
        assert "No committed record yet" in text
        return
    promised = re.search(r"HR@10 (\.?[\d.]+), NDCG@10 ([\d.]+)", text)
    assert promised, "the header promises no score"
    metrics = json.loads(record.read_text())["metrics"]["test"]["full"]
    assert float(promised[1]) == pytest.approx(metrics["hit@10"], abs=6e-4)
    assert float(promised[2]) == pytest.approx(metrics["ndcg@10"], abs=6e-4)
