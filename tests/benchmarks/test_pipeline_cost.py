"""The cost of the pipeline, from its records."""

from __future__ import annotations

from benchmarks.performance.pipeline_cost import render


def test_minutes_are_summed_over_stages_and_over_the_first_seed():
    stages = {"train_baseline": [(0, 30.0), (1, 50.0)], "train_ours": [(0, 20.0)]}
    page = render(stages)
    assert "train for about 50 minutes, those of seed 0 for about 25." in page
    assert "| `train_baseline` | 2 | 80 |" in page
    assert "| all | 3 | 100 |" in page
    assert "| seed 0 alone | 2 | 50 |" in page
