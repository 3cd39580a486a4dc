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
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([weight])
    for rows, targets in batches:
        clock.count(rows, targets)
        weight.grad = torch.ones(1)
        optimizer.step()


def test_throughput_leaves_out_the_first_step_which_warms_up(steps):
    clock = steps.StepClock()
    _train(clock, [(99, 999), (4, 20), (6, 40)])
    result = clock.result(rows_per_epoch=100)
    assert (result["steps"], result["seconds"], result["rows"], result["targets"]) == (
        2,
        20,
        10,
        60,
    )
    assert (result["rows_per_second"], result["targets_per_second"]) == (0.5, 3)
    assert (result["seconds_per_epoch"], result["targets_per_epoch"]) == (200, 600)


def test_training_ends_when_it_was_timed_for_long_enough(steps):
    clock = steps.StepClock(seconds=20)
    with pytest.raises(steps.Enough):
        _train(clock, [(1, 1)] * 9)
    assert clock.result(rows_per_epoch=1)["steps"] == 2


def test_nothing_is_counted_after_the_result(steps):
    clock = steps.StepClock()
    _train(clock, [(1, 1)] * 2)
    clock.result(rows_per_epoch=1)
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.ones(1)
    torch.optim.SGD([weight]).step()
    assert clock.steps == 1
