"""The propensity model finds the known process that decided what was observed."""

import numpy as np
import pytest
import torch

from llm4rec_recbole.components.debiasing import propensity
from llm4rec_recbole.components.debiasing.propensity import (
    PropensityModel,
    calibration,
    fit_logistic,
    fit_propensity,
    sigmoid,
)

N_USERS, N_ITEMS = 301, 201


@pytest.fixture(scope="module")
def world():
    """Pairs observed with known probability, which users' and items' features decide."""
    random = np.random.default_rng(0)
    user_features = random.normal(size=(N_USERS, 1))
    item_features = random.normal(size=(N_ITEMS, 2))
    logits = -2.5 + 0.8 * user_features + (item_features @ [1.0, -0.5])[None]  # (N_USERS, N_ITEMS)
    truth = sigmoid(logits)
    truth[0] = truth[:, 0] = 0
    users, items = np.nonzero(random.random(truth.shape) < truth)
    return truth, users, items, user_features, item_features


def predict(model):
    with torch.no_grad():
        return model(torch.arange(N_USERS)[:, None], torch.arange(N_ITEMS)).numpy()[1:, 1:]


@pytest.mark.parametrize("max_pairs", [200_000, 3_000])
@pytest.mark.parametrize("with_features", [False, True])
def test_recovers_the_true_propensities(world, max_pairs, with_features):
    truth, users, items, x_user, x_item = world
    features = {"user_features": x_user, "item_features": x_item} if with_features else {}
    model = fit_propensity(users, items, N_USERS, N_ITEMS, max_pairs=max_pairs, **features)
    predicted, truth = predict(model), truth[1:, 1:]
    assert np.corrcoef(predicted.ravel(), truth.ravel())[0, 1] > 0.95
    assert predicted.mean() == pytest.approx(truth.mean(), rel=0.06)  # the prior correction's work
    assert abs(predicted - truth).mean() < 0.2 * truth.mean()


def test_calibration_is_reported_for_pairs_not_fitted(world):
    _, users, items, *_ = world
    measured = fit_propensity(users, items, N_USERS, N_ITEMS).calibration
    assert measured.error < 0.01
    assert measured.skill > 0.15
    assert measured.observed_rate == pytest.approx(len(users) / (300 * 200), rel=0.05)
    assert measured.predicted_rate == pytest.approx(measured.observed_rate, rel=0.05)


def test_what_is_fitted_and_what_is_held_out(world, monkeypatch):
    """The design of the docstring of propensity.py; no pair is both fitted and measured."""
    _, users, items, *_ = world
    given, sizes = [], []

    def fit(features, *others, **options):
        given.append(features)
        return fit_logistic(features, *others, **options)

    def measure(predicted, *others):
        sizes.append(len(predicted))
        return calibration(predicted, *others)

    monkeypatch.setattr(propensity, "fit_logistic", fit)
    monkeypatch.setattr(propensity, "calibration", measure)
    fit_propensity(users, items, N_USERS, N_ITEMS)
    (features,) = given
    a, p = features[:, 0], features[:, 2]
    np.testing.assert_array_equal(features, np.stack([a, a**2, p, p**2, a * p, a**0], 1))
    assert len(features) + sizes[0] == 2 * len(users)
    assert sizes[0] == pytest.approx(0.2 * 2 * len(users), rel=0.1)


def test_eq13_propensity():
    """Naive twin: σ of the terms, one pair at a time."""
    random = np.random.default_rng(1)
    a, b, z, p = (random.normal(size=n) for n in (5, 4, 5, 4))
    model = PropensityModel(a, b, z, p, 0.7)
    propensities = model(torch.arange(5)[:, None], torch.arange(4)).numpy()
    for user in range(5):
        for item in range(4):
            logit = a[user] + b[item] + 0.7 * z[user] * p[item]
            assert propensities[user, item] == pytest.approx(1 / (1 + np.exp(-logit)), rel=1e-5)


def test_the_same_seed_gives_the_same_bits(world):
    _, users, items, *_ = world
    first, second = (fit_propensity(users, items, N_USERS, N_ITEMS, seed=3) for _ in range(2))
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name])


def test_users_of_equal_activity_and_a_single_pair_are_survived():
    model = fit_propensity(np.arange(1, 5), np.arange(1, 5), 5, 5)
    assert torch.isfinite(model(torch.arange(5)[:, None], torch.arange(5))).all()
    assert model.calibration is None  # too few pairs to hold any out
    model = fit_propensity(np.array([1]), np.array([2]), 3, 3)
    assert torch.isfinite(model(torch.arange(3)[:, None], torch.arange(3))).all()


def test_it_travels_with_the_model_it_serves(world):
    _, users, items, *_ = world
    fitted = fit_propensity(users, items, N_USERS, N_ITEMS)
    empty = PropensityModel(
        np.zeros(N_USERS), np.zeros(N_ITEMS), np.zeros(N_USERS), np.zeros(N_ITEMS), 0
    )
    empty.load_state_dict(fitted.state_dict())
    np.testing.assert_array_equal(predict(empty), predict(fitted))
    assert not list(fitted.parameters())
