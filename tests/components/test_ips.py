"""IPS recovers the true risk where the naive mean does not."""

import numpy as np
import pytest
import torch

from llm4rec_recbole.components.debiasing.propensity import (
    fit_propensity,
    inverse_propensity_weights,
    ips_loss,
    self_normalised_ips_loss,
)

N_USERS, N_ITEMS = 401, 301


def draw(n=9, seed=0):
    torch.manual_seed(seed)
    return torch.rand(n, dtype=torch.float64), torch.rand(n, dtype=torch.float64) * 0.9 + 0.05


@pytest.mark.parametrize("clip", [0.0, 0.3])
@pytest.mark.parametrize("population", [None, 40])
def test_eq14_ips_loss(clip, population):
    losses, propensities = draw()
    total = 0.0
    for loss, propensity in zip(losses.numpy(), propensities.numpy()):
        total += loss / max(propensity, clip)
    expected = total / (population or len(losses))
    assert ips_loss(losses, propensities, clip, population).item() == pytest.approx(expected)


@pytest.mark.parametrize("clip", [0.0, 0.3])
def test_eq14_self_normalised_ips_loss(clip):
    losses, propensities = draw()
    weights = 1 / np.maximum(propensities.numpy(), clip)
    expected = sum(weights * losses.numpy()) / sum(weights)
    assert self_normalised_ips_loss(losses, propensities, clip).item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", [ips_loss, self_normalised_ips_loss])
def test_eq14_gradients(loss):
    inputs = [tensor.requires_grad_() for tensor in draw()]
    assert torch.autograd.gradcheck(lambda x, p: loss(x, p, 0.1), inputs)


def test_self_normalised_is_unmoved_by_a_common_factor():
    losses, propensities = draw()
    half = self_normalised_ips_loss(losses, propensities / 2)
    torch.testing.assert_close(half, self_normalised_ips_loss(losses, propensities))


def test_clipping_bounds_the_weights():
    weights = inverse_propensity_weights(torch.tensor([1e-9, 0.05, 0.5]), 0.1)
    torch.testing.assert_close(weights, torch.tensor([10.0, 10.0, 2.0]))


@pytest.fixture(scope="module")
def world():
    """Popular items are seen more and lose less, so that the naive mean is too low."""
    random = np.random.default_rng(0)
    popular = random.normal(size=N_ITEMS)
    truth = 1 / (1 + np.exp(2.5 - 1.2 * popular - random.normal(size=(N_USERS, 1))))
    losses = 1 / (1 + np.exp(popular)) + 0.1 * random.random(truth.shape)
    truth[0] = truth[:, 0] = 0  # the pads are never observed
    return truth, losses, losses[1:, 1:].mean()


def observe(world, seed):
    truth, losses, _ = world
    users, items = np.nonzero(np.random.default_rng(seed).random(truth.shape) < truth)
    seen = torch.from_numpy(losses[users, items]), torch.from_numpy(truth[users, items])
    return users, items, *seen


def test_ips_recovers_the_true_risk_where_the_naive_mean_does_not(world):
    risk, population = world[2], (N_USERS - 1) * (N_ITEMS - 1)
    estimates = {"naive": [], "ips": [], "self_normalised": [], "clipped": []}
    for seed in range(20):
        _, _, losses, propensities = observe(world, seed)
        estimates["naive"].append(losses.mean())
        estimates["ips"].append(ips_loss(losses, propensities, population=population))
        estimates["self_normalised"].append(self_normalised_ips_loss(losses, propensities))
        estimates["clipped"].append(self_normalised_ips_loss(losses, propensities, 0.1))
    off = {name: abs(np.mean(values) - risk) / risk for name, values in estimates.items()}
    spread = {name: np.std(values) for name, values in estimates.items()}
    assert off["naive"] > 0.25
    assert off["ips"] < 0.02  # three standard errors of the mean of 20
    assert off["self_normalised"] < 0.005
    assert off["self_normalised"] < off["clipped"] < off["naive"]  # clipping: biased, but steadier
    assert spread["clipped"] < spread["self_normalised"] < spread["ips"]


def test_fitted_propensities_recover_it_too(world):
    users, items, losses, _ = observe(world, 0)
    model = fit_propensity(users, items, N_USERS, N_ITEMS)
    with torch.no_grad():
        fitted = model(torch.from_numpy(users), torch.from_numpy(items)).double()
    risk = world[2]
    naive = abs(losses.mean().item() - risk)
    assert abs(self_normalised_ips_loss(losses, fitted).item() - risk) < 0.1 * naive
