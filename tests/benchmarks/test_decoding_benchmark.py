"""The decoding benchmark compares like with like."""

from __future__ import annotations

import torch

from benchmarks.performance import decoding


def test_both_ways_find_the_same_items_and_the_report_says_how_fast():
    torch.manual_seed(0)
    subject = decoding.p5(decoding.read_data(2))
    row = decoding.compare(subject, width=3, batch=2, device="cpu")
    assert row["users_with_the_same_list"] == row["users"] == 2
    assert row["largest_difference"] < 1e-4
    measured = {
        "width": 3,
        "batch": 2,
        "threads": 1,
        "hardware": "a CPU",
        "torch": "2",
        "transformers": "4",
        "models": {"P5": row},
    }
    assert "| P5 | 2 |" in decoding.render(measured)


def test_a_causal_model_is_padded_where_transformers_wants_it():
    torch.manual_seed(0)
    data = decoding.read_data(3)
    data = decoding.Data(
        data.train_users,
        data.train_items,
        data.names,
        [row[: 2 + n] for n, row in enumerate(data.histories)],
    )
    subject = decoding.genrec(data, "scratch-32x1", None)
    row = decoding.compare(subject, width=2, batch=3, device="cpu")
    assert row["users_with_the_same_list"] == 3
