"""RecBole's own models of every family run under this project's protocols."""

from __future__ import annotations

import json

import pytest

from llm4rec_recbole.training.run import run


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        "NeuMF",  # general, pointwise
        "GRU4Rec",  # sequential, one row per prefix
        "FPMC",  # sequential, pairwise
        "FM",  # context-aware: scores pairs from features
        "CKE",  # knowledge-aware: two samplers
    ],
)
@pytest.mark.parametrize("protocol", ["loo", "temporal"])
def test_a_model_trains_and_is_ranked(model, protocol, options):
    for name in ("data_path", "load_col"):
        options.pop(name)
    options |= {"epochs": 1, "eval_step": 1, "protocol": protocol, "train_batch_size": 4096}
    record = json.loads(run(model, "ml-100k", options=options).read_text())
    assert 0 <= record["metrics"]["test"]["full"]["ndcg@10"] < 1
