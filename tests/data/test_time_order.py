"""The shares that tables print about time, on data with known answers."""

from __future__ import annotations

import numpy as np

from llm4rec_recbole.data.splits import Log, leave_one_out, temporal_split
from llm4rec_recbole.datasets.prepare import time_order


def test_shares_of_two_users_under_loo() -> None:
    """Training: 1, 2 and 10, 5000. User 1 is tested at 4, user 2 at 9000, an hour later."""
    users = np.repeat([1, 2], 4)
    times = np.array([1, 2, 4, 4, 10, 5000, 6000, 9600])
    items = np.tile(np.arange(1, 5), 2)
    shares = time_order(leave_one_out(Log(users, items, times)))
    assert shares == {
        "train_later_than_test": 0.25,  # (2 + 0) / 4 / 2
        "valid_not_before_test": 0.5,  # the own at 4, and 6000; none at 9600
        "test_at_last_time": 0.5,
        "test_within_an_hour": 1.0,
    }


def test_nothing_later_is_trained_on_under_temporal() -> None:
    random = np.random.default_rng(0)
    users = random.integers(1, 20, 400)
    items, times = random.integers(1, 60, 400), random.integers(0, 10**6, 400)
    shares = time_order(temporal_split(Log(users, items, times)))
    assert shares["train_later_than_test"] == 0
    assert time_order(leave_one_out(Log(users, items, times)))["train_later_than_test"] > 0.01
