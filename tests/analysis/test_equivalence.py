"""Better, equivalent, worse or undecided."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from llm4rec_recbole.analysis.significance import conclude, smallest_margin, users_to_decide


def tost(difference: float, error: float, df: float, margin: float) -> float:
    """The p value of TOST: the larger p of the tests of d ≤ -margin and d ≥ margin."""
    lower = stats.t.sf((difference + margin) / error, df)
    return max(lower, stats.t.cdf((difference - margin) / error, df))


def test_tost_of_a_published_example():
    """Lakens 2017, Moon & Roeser: means 5.25, 5.22, SD .95, .83, n 95, 89, bounds ± .48 d (.43).

    Welch's error is .1313 with 181 degrees of freedom; t of the larger p is -3.05, p .001.
    """
    error = np.sqrt(0.95**2 / 95 + 0.83**2 / 89)
    assert tost(0.03, error, 181, 0.4286) == pytest.approx(stats.t.sf(3.035, 181), rel=0.02)
    assert tost(0.03, error, 181, 0.4286) < 0.005


@given(st.floats(-1, 1), st.floats(0.01, 1), st.integers(5, 5_000))
def test_the_smallest_margin_is_where_tost_reaches_the_level(difference, error, df):
    margin = smallest_margin(difference, error, df)
    assert tost(difference, error, df, margin) == pytest.approx(0.05, abs=1e-6)
    assert tost(difference, error, df, 1.01 * margin) < 0.05


@given(st.floats(-0.02, 0.02), st.floats(0.0001, 0.02), st.integers(10, 10_000))
def test_better_and_worse_are_mirror_images(difference, error, users):
    one = conclude(difference, error, users - 1, 0.1, users)
    other = conclude(-difference, error, users - 1, 0.1, users)
    mirrored = {"better": "worse", "worse": "better"}
    assert mirrored.get(one.outcome, one.outcome) == other.outcome
    assert one.smallest_margin == pytest.approx(other.smallest_margin)


@pytest.mark.parametrize(
    ("difference", "error", "outcome", "words"),
    [
        (0.02, 0.005, "better", "better"),
        (-0.02, 0.005, "worse", "worse"),
        (0.001, 0.002, "equivalent", "equivalent within 4.29 %"),
        (0.005, 0.005, "undecided", "undecided, equivalent within 13.2 %; "),
    ],
)
def test_each_outcome(difference, error, outcome, words):
    found = conclude(difference, error, 999, 0.1, 1_000)
    assert found.outcome == outcome
    assert found.describe(0.1).startswith(words)
    assert (found.users is not None) is (outcome == "undecided")


def test_an_adjusted_p_can_leave_a_comparison_undecided():
    assert conclude(0.02, 0.005, 999, 0.1, 1_000, p=0.2).outcome == "undecided"


def test_the_stated_users_find_the_margin_and_show_equality():
    spread, margin, random = 0.2, 0.02, np.random.default_rng(0)
    users, seeds = users_to_decide(spread**2, margin)
    assert seeds is None
    error = spread / np.sqrt(users)
    means = random.normal(0, error, 20_000)
    t = stats.t.ppf(0.975, users - 1)
    assert np.mean((means + margin) / error > t) >= 0.8
    shown = np.abs(means) + stats.t.ppf(0.95, users - 1) * error < margin
    assert np.mean(shown) == pytest.approx(0.8, abs=0.01)


def test_seeds_add_users_and_their_number_is_stated():
    alone, _ = users_to_decide(0.04, 0.02)
    users, seeds = users_to_decide(0.04, 0.02, seed_variance=0.003**2)
    assert users > alone
    assert seeds == 2
    assert users_to_decide(0.04, 0.02, seed_variance=0.02**2)[1] > 10
    assert users_to_decide(0.04, 0.02, seed_variance=0.0) == (alone, 1)


def test_no_difference_at_all_is_equivalence():
    found = conclude(0.0, 0.0, 59, 0.1, 60)
    assert (found.outcome, found.smallest_margin) == ("equivalent", 0)
