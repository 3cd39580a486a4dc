"""The latency benchmark: every batch and event is timed, and the verdicts follow the medians."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.performance import latency

pytestmark = pytest.mark.usefixtures("own_folder", "only_read_options")


def test_users_and_events_are_timed(options: dict[str, Any]) -> None:
    small = {"llm": "scratch-16x2", "llm_layers": None, "eval_batch_users": 16}
    found = latency.measure("two_cycles", users=40, events=3, options=options | small)
    assert found["layers"] == 2
    assert found["batch"] == 16
    assert len(found["a user"]) == 3  # batches: 16, 16 and 8 users
    assert len(found["an event"]) == 3
    assert all(value > 0 for both in [*found["a user"], *found["an event"]] for value in both)
    again = latency.measure("two_cycles", users=40, events=3, options=options | small)
    fewer = latency.measure("two_cycles", users=40, events=2, options=options | small)
    assert found["sha256"] == again["sha256"] != fewer["sha256"]


def test_the_median_decides() -> None:
    users, events = [[1.0, 5.0], [2.0, 6.0], [90.0, 99.0]], [[60.0, 70.0], [60.0, 70.0], [1.0, 1.0]]
    found = {"layers": 2, "batch": 256, "dtype": "float32", "a user": users, "an event": events}
    measured = {
        "dataset": "ml-100k",
        "date": "today",
        "cores": 2,
        "load_average": (0.0, 0.0, 0.0),
        "machine": "a processor",
        "options": {"num_threads": 1},
        "models": {"default": found, "all layers": found | {"a user": [[14.3, 15.0]]}},
        "same_bits": True,
    }
    report = latency.render(measured)
    assert "| default: a user, ms | ≤ 3 | 2: reached |" in report
    assert "| default: an event, ms | ≤ 50 | 60: not reached |" in report
    assert "| all layers: a user, ms | ≤ 14.2 | 14.3: not reached |" in report
    assert "71 ×" in report
    assert "have the same bits" in report
    assert "not the same" in latency.render(measured | {"same_bits": False})
