"""Batches of GenRec, which reads items as several tokens: windows with about as many tokens."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from llm4rec_recbole.training.experiment import prepare
from llm4rec_recbole.training.run import fit

SMALL: dict[str, Any] = {"llm": "scratch-32x1", "llm_layers": None, "llm_dtype": "float32"}


def test_batches_in_training_hold_windows_with_about_as_many_tokens(options: Any) -> None:
    run = prepare("GenRec", "two_cycles", options=options | SMALL | {"epochs": 1})
    loader = run.data.train
    assert loader.item_tokens is None
    fit(run.trained, run.data, save=False)
    tokens = run.model.item_tokens
    assert loader.item_tokens is tokens
    assert (tokens[1:] > 0).all()
    field = loader.input_field
    ranges = []
    for batch in loader:
        lengths = tokens[batch[field].numpy()].sum(1)
        ranges.append((lengths.min(), lengths.max()))
    ranges.sort()
    shared = [int(one[1] - other[0]) for one, other in pairwise(ranges)]
    assert max(shared, default=0) <= tokens.max()  # a causal batch leaves the last target out
    assert np.ptp([low for low, _ in ranges]) > 0
