from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from llm4rec_recbole.analysis import significance
from llm4rec_recbole.analysis.significance import (
    bootstrap_interval,
    effect_size,
    holm,
    paired_t,
    randomization,
    smallest_detectable,
    users_and_seeds,
)
from llm4rec_recbole.evaluation.metrics import hit, ndcg


def null_experiments(metric, experiments: int, users: int = 300) -> np.ndarray:
    """Differences (users, experiments) between two methods that are equally good."""
    random = np.random.default_rng(11)
    difficulty = random.exponential(40, size=(users, 1))
    first, second = (
        metric(np.floor(difficulty * random.exponential(1, size=(users, experiments))), 10)
        for _ in range(2)
    )
    return first - second


@pytest.mark.parametrize("metric", [hit, ndcg])
def test_true_nulls_are_rejected_five_times_in_a_hundred(metric):
    differences = null_experiments(metric, 4_000)
    assert np.mean(paired_t(differences) < 0.05) == pytest.approx(0.05, abs=0.01)


def test_randomization_rejects_true_nulls_five_times_in_a_hundred():
    p = randomization(null_experiments(ndcg, 4_000), resamples=999)
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.01)


def test_randomization_of_a_metric_with_few_values_rejects_no_more_than_it_may():
    p = randomization(null_experiments(hit, 4_000), resamples=999)
    assert 0.03 < np.mean(p < 0.05) < 0.06


def test_the_bootstrap_interval_misses_the_truth_five_times_in_a_hundred():
    low, high = bootstrap_interval(null_experiments(ndcg, 4_000), resamples=1_999)
    assert np.mean((low > 0) | (high < 0)) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("users", [30, 400])
def test_the_smallest_detectable_difference_is_found_with_the_power_it_says(users):
    random = np.random.default_rng(3)
    noise = random.normal(0, 0.3, size=(users, 4_000))
    differences = noise + smallest_detectable(noise * 0.3 / noise.std(axis=0, ddof=1))
    assert np.mean(paired_t(differences) < 0.05) == pytest.approx(0.8, abs=0.02)


def test_power_follows_the_noncentral_t_distribution():
    users, shift, spread = 100, 0.05, 0.2
    differences = np.random.default_rng(4).normal(shift, spread, size=(users, 4_000))
    bound = stats.t.ppf(0.975, users - 1)
    power = stats.nct.sf(bound, users - 1, shift / spread * np.sqrt(users))
    assert np.mean(paired_t(differences) < 0.05) == pytest.approx(power, abs=0.02)


def example() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two methods' values for 50 users, and their differences as one column."""
    random = np.random.default_rng(2)
    first, second = random.normal(0.25, 1, 50), random.normal(0, 1, 50)
    return first, second, (first - second)[:, None]


def test_paired_t_equals_scipy():
    first, second, differences = example()
    assert paired_t(differences)[0] == pytest.approx(stats.ttest_rel(first, second).pvalue)


def test_randomization_equals_scipy_within_resampling_error():
    _, _, differences = example()
    oracle = stats.permutation_test(
        (differences[:, 0],), np.mean, permutation_type="samples", n_resamples=9_999, rng=0
    )
    assert randomization(differences)[0] == pytest.approx(oracle.pvalue, abs=0.02)


def test_randomization_is_near_the_exact_share_when_all_signs_can_be_listed():
    values = np.array([0.5, 1.0, -0.25, 2.0, 1.5, 0.75, -0.1, 1.25])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 8)).reshape(8, -1).T  # (256, 8)
    exact = np.mean(np.abs(signs @ values) >= abs(values.sum()) - 1e-12)
    assert randomization(values[:, None])[0] == pytest.approx(exact, abs=0.01)


def test_randomization_is_not_led_astray_by_rounding():
    whole = np.random.default_rng(5).integers(-3, 4, size=(40, 200)).astype(float)
    np.testing.assert_array_equal(randomization(whole / 30), randomization(whole))


def test_randomization_counts_the_observed_signs_as_one_resample():
    assert randomization(np.ones((60, 1)), resamples=99) == [1 / 100]


def test_randomization_counts_equal_sums_as_extreme():
    """Three users, differences 1/3 each: 2 of the 8 sign patterns are as extreme."""
    third = np.full((3, 1), 1 / 3)
    assert randomization(third)[0] == pytest.approx(0.25, abs=0.02)


def test_bootstrap_interval_equals_scipy_within_resampling_error():
    _, _, differences = example()
    oracle = stats.bootstrap((differences[:, 0],), np.mean, method="percentile", rng=0)
    wanted = oracle.confidence_interval
    assert bootstrap_interval(differences)[:, 0] == pytest.approx(
        [wanted.low, wanted.high], abs=0.02
    )


def test_resampling_does_not_depend_on_the_chunk_nor_on_the_other_columns(monkeypatch):
    _, _, one = example()
    both = np.hstack([one, one + 1])
    p, interval = randomization(both), bootstrap_interval(both)
    monkeypatch.setattr(significance, "MAX_ELEMENTS", 5_000)
    assert randomization(one)[0] == p[0]
    np.testing.assert_allclose(bootstrap_interval(one)[:, 0], interval[:, 0])


def test_methods_that_agree_on_every_user_do_not_differ():
    same = np.zeros((20, 1))
    assert paired_t(same) == randomization(same) == [1.0]
    assert effect_size(same) == smallest_detectable(same) == [0.0]


def test_the_same_difference_for_every_user_is_certain():
    constant = np.full((20, 1), 0.1)
    assert paired_t(constant) == [0.0]
    assert effect_size(constant) == [np.inf]
    assert bootstrap_interval(constant) == pytest.approx(np.full((2, 1), 0.1))


def test_effect_size_is_the_mean_in_standard_deviations():
    assert effect_size(np.array([[1.0], [2.0], [3.0]])) == pytest.approx([2.0])


def test_holm_by_hand():
    """Sorted .01, .02, .03, .04 times 4, 3, 2, 1 is .04, .06, .06, .04; never decreasing."""
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_the_degrees_of_freedom_are_at_least_those_of_the_seeds():
    """Where users do not differ, only seeds do, and most of their variance may be subtracted."""
    runs = [np.random.default_rng(s).integers(0, 2, (3, 60)).astype(float) for s in range(60)]
    made = [users_and_seeds(np.zeros(60), [run, run]) for run in runs]
    assert min(df for error, df in made if error) == 2


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_holm_equals_that_of_statsmodels(p):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    expected = multitest.multipletests(p, method="holm")[1]
    np.testing.assert_allclose(holm(np.array(p)), expected, rtol=1e-12, atol=1e-300)


def test_holm_stops_at_one_and_takes_no_values_at_all():
    assert holm([0.6, 0.9]).tolist() == [1, 1]
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_no_adjustment_and_bonferroni(p):
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(np.array(p) * len(p), 1) + 1e-12).all()
    assert adjusted[np.argmin(p)] == pytest.approx(min(1, min(p) * len(p)))


def test_without_seeds_the_error_is_that_of_the_paired_t_test():
    _, _, differences = example()
    error, df = users_and_seeds(differences[:, 0], [])
    assert error == pytest.approx(stats.sem(differences[:, 0]))
    assert df == pytest.approx(49)


def test_seeds_that_agree_add_nothing():
    _, _, differences = example()
    run = np.tile(np.random.default_rng(0).normal(size=50), (3, 1))
    assert users_and_seeds(differences[:, 0], [run]) == users_and_seeds(differences[:, 0], [])


def test_seeds_that_decide_everything_leave_as_many_degrees_of_freedom_as_seeds():
    run = np.array([[0.1], [0.2], [0.3]]) + np.zeros(200)
    error, df = users_and_seeds(run.mean(axis=0), [run])
    assert error == pytest.approx(np.std([0.1, 0.2, 0.3], ddof=1) / np.sqrt(3))
    assert df == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize("seed_spread", [0.0, 0.003, 0.006])
def test_true_nulls_with_random_seeds_are_rejected_five_times_in_a_hundred(seed_spread):
    random = np.random.default_rng(7)
    users, rejected = 300, 0
    for _ in range(1_000):
        preference = random.normal(0, 0.2, users)  # of the users, for one of the methods
        runs = [
            random.normal(0, seed_spread, (3, 1)) + random.normal(0, 0.1, (3, users))
            for _ in range(2)
        ]
        difference = preference + runs[0].mean(axis=0) - runs[1].mean(axis=0)
        error, df = users_and_seeds(difference, runs)
        rejected += 2 * stats.t.sf(abs(difference.mean()) / error, df) < 0.05
    assert rejected / 1_000 == pytest.approx(0.05, abs=0.02)
