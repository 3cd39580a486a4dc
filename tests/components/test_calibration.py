"""Calibration and the logistic fit, against naive versions and SciPy."""

import numpy as np
import pytest
from scipy.optimize import minimize

from llm4rec_recbole.components.debiasing.propensity import calibration, fit_logistic, sigmoid


def draw(n=400, seed=0):
    random = np.random.default_rng(seed)
    return random.random(n), random.integers(0, 2, n), random.exponential(size=n)


def test_expected_calibration_error_equals_its_naive_twin():
    probabilities, outcomes, weights = draw()
    bins, before = [[] for _ in range(7)], 0.0
    for k in sorted(range(400), key=lambda k: probabilities[k]):
        before += weights[k] / sum(weights)  # bins have about equal weight
        bins[min(int(7 * before), 6)].append(k)
    error = 0.0
    for inside in bins:
        mass = sum(weights[k] for k in inside)
        predicted = sum(weights[k] * probabilities[k] for k in inside) / mass
        seen = sum(weights[k] * outcomes[k] for k in inside) / mass
        error += mass / sum(weights) * abs(predicted - seen)
    assert calibration(probabilities, outcomes, weights, 7).error == pytest.approx(error)


def test_true_probabilities_are_calibrated_and_halved_ones_are_not():
    random = np.random.default_rng(0)
    probabilities = random.beta(1, 4, 50_000)
    outcomes = random.random(50_000) < probabilities
    assert calibration(probabilities, outcomes).error < 0.01
    assert calibration(probabilities / 2, outcomes).error == pytest.approx(0.1, abs=0.01)


def test_the_base_rate_is_calibrated_but_has_no_skill():
    outcomes = np.sort(draw()[1])  # in order, which a split of equal probabilities would show
    measured = calibration(np.full(400, outcomes.mean()), outcomes)
    assert measured.error == pytest.approx(0)
    assert measured.skill == pytest.approx(0)


def test_certainty_has_full_skill_and_noise_less_than_none():
    outcomes = draw()[1]
    assert calibration(outcomes.astype(float), outcomes).skill == pytest.approx(1)
    assert calibration(draw(seed=1)[0], outcomes).skill < 0


def test_weights_count_like_copies():
    probabilities, outcomes, _ = draw()
    copies = np.random.default_rng(2).integers(1, 4, 400)
    weighted = calibration(probabilities, outcomes, copies.astype(float), 1)
    copied = calibration(np.repeat(probabilities, copies), np.repeat(outcomes, copies), None, 1)
    assert weighted.error == pytest.approx(copied.error)
    assert weighted.skill == pytest.approx(copied.skill)


def test_sigmoid_does_not_overflow():
    with np.errstate(over="raise"):
        assert sigmoid(np.array([-800.0, 0.0, 800.0])).tolist() == pytest.approx([0, 0.5, 1])


def test_logistic_fit_equals_scipys():
    random = np.random.default_rng(0)
    features = np.column_stack([random.normal(size=(500, 3)) * [1, 5, 0.2], np.ones(500)])
    offsets = random.normal(size=500)
    outcomes = random.random(500) < sigmoid(features @ [1, -0.4, 2, -1] + offsets)

    def loss(c):
        logits = features @ c + offsets
        return (np.logaddexp(0, logits) - outcomes * logits).mean() + 0.05 * c @ c

    expected = minimize(loss, np.zeros(4), tol=1e-12).x
    np.testing.assert_allclose(fit_logistic(features, outcomes, offsets, 0.1), expected, atol=1e-5)


def test_logistic_fit_survives_separable_and_constant_columns():
    x = np.linspace(-1, 1, 50)
    features = np.column_stack([x, np.zeros(50), np.ones(50), np.ones(50)])
    coefficients = fit_logistic(features, x > 0)
    assert np.isfinite(coefficients).all()
    assert coefficients[0] > 10
