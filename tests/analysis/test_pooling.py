"""Pooling over data sets, against published examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4rec_recbole.analysis.pooling import log_ratio, random_effects, signed_rank_probabilities

#: BCG vaccine trials (Colditz et al. 1994): tuberculosis and none, of vaccinated and of others.
BCG = np.array(
    [
        [4, 119, 11, 128], [6, 300, 29, 274], [3, 228, 11, 209], [62, 13536, 248, 12619],
        [33, 5036, 47, 5761], [180, 1361, 372, 1079], [8, 2537, 10, 619],
        [505, 87886, 499, 87892], [29, 7470, 45, 7232], [17, 1699, 65, 1600],
        [186, 50448, 141, 27197], [5, 2493, 3, 2338], [27, 16886, 29, 17825],
    ]
)  # fmt: skip
#: Accuracy of J48 less that of naive Bayes on the 54 data sets of baycomp's documentation, in %.
J48_LESS_NBC = np.array([
    2.7, 5.83, -6.14, -0.49, 7.33, 0.07, 0.07, -1.66, 11.4, -2.87, 0.38, -10.46, -0.52, 0.0, -5.12,
    -3.84, 0.87, 0.71, 0.27, 11.65, -1.8, 0.0, -8.73, 1.43, 23.17, 2.53, 4.24, 6.88, -13.58, 3.23,
    -7.25, 0.9, -0.94, 1.67, -6.19, 3.0, 3.36, 3.36, 4.03, -2.04, 0.44, 3.03, 1.84, -1.25, 4.47,
    15.6, 0.46, 17.75, -5.1, -3.98, -7.98, -2.16, -0.54, -1.37,
])  # fmt: skip


def bcg() -> tuple[np.ndarray, np.ndarray]:
    """Log relative risks and their variances."""
    a, b, c, d = BCG.T
    return np.log(a / (a + b) * (c + d) / c), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


def test_reml_with_knapp_hartung_gives_what_metafor_gives_for_the_bcg_trials():
    """rma(yi, vi, data=dat.bcg, test="knha") of metafor (Viechtbauer 2010)."""
    pooled = random_effects(*bcg())
    assert pooled.tau2 == pytest.approx(0.3132, abs=5e-5)
    assert 100 * pooled.i2 == pytest.approx(92.22, abs=5e-3)
    assert pooled.q == pytest.approx(152.2330, abs=5e-5)
    assert pooled.effect == pytest.approx(-0.7145, abs=5e-5)
    assert pooled.error == pytest.approx(0.1808, abs=5e-5)
    assert (pooled.low, pooled.high) == pytest.approx((-1.1084, -0.3206), abs=5e-5)


def test_the_prediction_interval_is_wider_than_the_confidence_interval():
    pooled = random_effects(*bcg())
    assert pooled.predicted_low < pooled.low < pooled.high < pooled.predicted_high


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8), st.floats(-1, 1))
def test_a_shift_of_all_effects_shifts_the_pooled_effect(effects, shift):
    variances = np.linspace(0.01, 0.02, len(effects))
    one = random_effects(np.array(effects), variances)
    other = random_effects(np.array(effects) + shift, variances)
    assert other.effect == pytest.approx(one.effect + shift, abs=1e-5)
    assert other.tau2 == pytest.approx(one.tau2, abs=1e-5)


def test_equal_effects_have_no_spread():
    pooled = random_effects(np.full(4, 0.3), np.full(4, 0.04))
    assert (pooled.tau2, pooled.i2) == (0, 0)
    assert pooled.error == pytest.approx(0)


def test_the_log_ratios_variance_is_that_of_resampled_users():
    random = np.random.default_rng(0)
    one, other = random.exponential(0.3, 2_000), random.exponential(0.25, 2_000)
    effect, variance = log_ratio(one, other)
    rows = random.integers(0, 2_000, size=(4_000, 2_000))
    resampled = np.log(one[rows].mean(axis=1) / other[rows].mean(axis=1))
    assert effect == pytest.approx(np.log(one.mean() / other.mean()))
    assert variance == pytest.approx(resampled.var(), rel=0.1)


@pytest.mark.parametrize("variances", [[0.1], [0.1, 0.0], [0.1, 0.1, 0.1]])
def test_what_cannot_be_pooled_is_refused(variances):
    with pytest.raises(ValueError, match="two or more effects"):
        random_effects(np.zeros(min(2, len(variances))), np.array(variances))


def test_signed_ranks_give_what_baycomps_documentation_gives():
    """two_on_multiple(nbc, j48, rope=1) of baycomp: (0.23014, 0.00674, 0.76312)."""
    found = signed_rank_probabilities(J48_LESS_NBC, rope=1)
    assert found == pytest.approx((0.23014, 0.00674, 0.76312), abs=0.01)


@given(st.lists(st.floats(-0.3, 0.3), min_size=1, max_size=6))
def test_signed_rank_probabilities_sum_to_one_and_mirror(differences):
    one = signed_rank_probabilities(np.array(differences), samples=400)
    other = signed_rank_probabilities(-np.array(differences), samples=400)
    assert sum(one) == pytest.approx(1)
    assert one == pytest.approx(other[::-1], abs=1e-9)


def test_large_gains_everywhere_are_better_and_none_is_equivalent():
    assert signed_rank_probabilities(np.full(8, 0.3))[2] > 0.99
    assert signed_rank_probabilities(np.zeros(8))[1] == 1
