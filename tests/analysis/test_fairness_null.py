"""What shuffled groups say of the users' part of fairness."""

from __future__ import annotations

import numpy as np
import pytest

from llm4rec_recbole.evaluation.metrics import parity, shuffled_parity

USERS = 200
HALVES = np.eye(2)[np.repeat([0, 1], USERS // 2)]


def test_a_real_gap_lies_below_the_range_and_a_chance_one_within():
    benefit = np.where(HALVES[:, 0] == 1, 0.9, 0.1)
    measured = parity(benefit, HALVES)
    assert measured == pytest.approx(0.1 / 0.9)
    assert measured < shuffled_parity(benefit, [HALVES], 99).min()
    assert parity(np.tile([0.9, 0.1], USERS // 2), HALVES) == pytest.approx(1)


def test_groups_that_mean_nothing_lie_within_the_range_19_times_in_20():
    random = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        benefit, groups = random.random(60), np.eye(3)[random.integers(0, 3, 60)]
        shuffled = shuffled_parity(benefit, [groups], 79)
        inside += parity(benefit, groups) >= np.quantile(shuffled, 0.05)
    assert 178 <= inside <= 199
