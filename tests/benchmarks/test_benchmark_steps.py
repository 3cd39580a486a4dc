from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import benchmarks


@pytest.fixture
def steps(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(Path(benchmarks.__file__).parent / "workers"), *sys.path])
    module = pytest.importorskip("steps")
    now = iter(range(0, 1000, 10))  # each step of the optimizer takes ten seconds
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(now)) + 10)
    return module


def _train(clock, batches):
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    for rows in batches:
        clock.count(rows)
        optimizer.step()


def test_throughput_leaves_out_the_first_step_which_warms_up(steps):
    clock = steps.StepClock()
    _train(clock, [99, 4, 6])
    result = clock.result(rows_per_epoch=100, targets_per_epoch=600)
    assert (result["steps"], result["seconds"], result["rows"]) == (2, 20, 10)
    assert (result["rows_per_second"], result["targets_per_second"]) == (0.5, 3)
    assert result["seconds_per_epoch"] == 200


def test_training_ends_when_it_was_timed_for_long_enough(steps):
    clock = steps.StepClock(seconds=20)
    with pytest.raises(steps.Enough):
        _train(clock, [1] * 9)
    assert clock.result(1, 1)["steps"] == 2


def test_nothing_is_counted_after_the_result(steps):
    clock = steps.StepClock()
    _train(clock, [1, 1])
    clock.result(1, 1)
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))]).step()
    assert clock.steps == 1
