"""Eq. 15 recovers the interventional distribution of a known structural causal model."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from llm4rec_recbole.components.debiasing.backdoor import (
    StratifiedScores,
    backdoor_adjustment,
    popularity_periods,
    popularity_strata,
    strata_at_the_time,
    stratum_prior,
)
from llm4rec_recbole.errors import InputError

PRIOR = np.array([0.6, 0.3, 0.1])  # P(P = p)
EXPOSED = np.array([0.1, 0.5, 0.9])  # P(X = 1 | P = p)
CHOSEN = np.array([[0.1, 0.3, 0.6], [0.3, 0.4, 0.7]])  # P(Y = 1 | X = x, P = p)


def draw_scm(n, do_x=None):
    """P → X, P → Y, X → Y; with `do_x`, X is set and no longer listens to P."""
    random = np.random.default_rng(0)
    p = random.choice(3, size=n, p=PRIOR)
    x = (random.random(n) < EXPOSED[p]).astype(int) if do_x is None else np.full(n, do_x)
    y = (random.random(n) < CHOSEN[x, p]).astype(int)
    return x, p, y


def test_recovers_the_interventional_distribution_where_conditioning_does_not():
    x, p, y = draw_scm(200_000)
    observed = np.zeros((2, 3, 2))  # (X, P, Y)
    np.add.at(observed, (x, p, y), 1)
    conditional = torch.from_numpy(observed / observed.sum(-1, keepdims=True))
    prior = torch.from_numpy(np.bincount(p) / len(p))
    adjusted = backdoor_adjustment(conditional, prior)[:, 1].numpy()
    truth = CHOSEN @ PRIOR
    assert adjusted == pytest.approx(truth, abs=0.005)
    naive = np.array([y[x == value].mean() for value in (0, 1)])
    assert (naive - truth)[0] < -0.02
    assert (naive - truth)[1] > 0.08
    for value in (0, 1):  # the experiment itself
        assert draw_scm(200_000, value)[2].mean() == pytest.approx(adjusted[value], abs=0.01)


def test_eq15_backdoor_adjustment():
    random = np.random.default_rng(0)
    conditional, prior = random.dirichlet(np.ones(5), size=(2, 3)), random.dirichlet(np.ones(3))
    expected = np.zeros((2, 5))
    for x in range(2):
        for p in range(3):
            expected[x] += conditional[x, p] * prior[p]
    given, weights = torch.from_numpy(conditional), torch.from_numpy(prior)
    np.testing.assert_allclose(backdoor_adjustment(given, weights), expected)


def test_strata_are_ordered_by_popularity_and_about_equal():
    counts = np.random.default_rng(0).permutation(np.arange(101))
    counts[0] = 10_000  # the pad's count is not looked at
    strata = popularity_strata(counts, 5)
    assert strata[0] == 0
    assert np.bincount(strata[1:]).tolist() == [20] * 5
    order = np.argsort(counts[1:])
    assert (np.diff(strata[1:][order]) >= 0).all()


def test_items_of_equal_count_share_a_stratum():
    strata = popularity_strata(np.array([0, 1, 1, 1, 1, 1, 1, 5, 9]), 4)
    assert strata.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 1]
    assert popularity_strata(np.ones(9, dtype=int), 4).tolist() == [0] * 9


@pytest.mark.parametrize(("counts", "n"), [(np.ones(5), 0), (np.ones(1), 3)])
def test_impossible_strata_are_refused(counts, n):
    with pytest.raises(InputError, match="cannot be put"):
        popularity_strata(counts, n)


def test_the_prior_is_the_strata_share_of_interactions():
    prior = stratum_prior(np.array([0, 0, 1, 1]), np.array([50, 1, 2, 5]))
    assert prior.tolist() == [1 / 8, 7 / 8]


def random_scores(n=4, n_items=7, d=3):
    torch.manual_seed(0)
    module = StratifiedScores(d, torch.tensor([0.5, 0.3, 0.2])).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    states, items = torch.randn(n, d).double(), torch.randn(n_items, d).double()
    return module, states, items, torch.randint(0, 3, (n, n_items))


def test_conditional_scores_equal_their_naive_twin():
    module, states, items, strata = random_scores()
    scores = module(states, items, strata)
    for n, h in enumerate(states):
        for i, e in enumerate(items):
            p = strata[n, i]
            modulated = (module.projection @ h) @ (module.projection @ e)
            expected = h @ e + module.scale[p] * modulated + module.reason(h)[p]
            torch.testing.assert_close(scores[n, i], expected)


def test_eq15_intervene():
    module, states, items, _ = random_scores()
    expected = torch.zeros(4, 7, dtype=torch.float64)
    for p, share in enumerate(module.prior):
        everywhere = torch.full((7,), p)
        expected += share * module(states, items, everywhere).softmax(1)
    torch.testing.assert_close(module.intervene(states, items).exp(), expected)


def test_factors_multiply_to_the_scores():
    module, states, items, strata = random_scores()
    periods = torch.tensor([1, 0, 1, 2])
    left, right = module.factors(states, items, strata[:3], periods)
    torch.testing.assert_close(left @ right.T, module(states, items, strata[periods]))


def test_strata_follow_popularity_at_the_time():
    times = np.array([5.0, 1, 7, 2, 8, 3, 6, 4])
    items = np.array([2, 1, 2, 1, 2, 1, 1, 3])
    periods = popularity_periods(times, True, 2)
    assert periods.tolist() == [1, 0, 1, 0, 1, 0, 1, 0]
    assert not popularity_periods(times, False, 2).any()
    strata = strata_at_the_time(items, periods, 4, 3)
    assert strata.tolist() == [[0, 2, 0, 1], [0, 1, 2, 0]]


def test_gradients_of_both_scores():
    module, states, items, strata = random_scores()
    inputs = (states.requires_grad_(), items.requires_grad_())
    assert torch.autograd.gradcheck(lambda h, e: module(h, e, strata), inputs)
    assert torch.autograd.gradcheck(module.intervene, inputs)


def test_it_starts_as_the_plain_dot_product():
    module = StratifiedScores(3, torch.tensor([0.5, 0.5]))
    states, items = torch.randn(4, 3), torch.randn(7, 3)
    plain = states @ items.T
    torch.testing.assert_close(module(states, items, torch.zeros(7, dtype=torch.int64)), plain)
    torch.testing.assert_close(module.intervene(states, items), plain.log_softmax(1))


def test_learning_on_strata_that_change_finds_the_taste_under_popularity():
    """Choices ~ softmax(taste + what popularity adds); taste is learned with known strata."""
    random = np.random.default_rng(0)
    taste = random.normal(size=(2, 6))  # two kinds of user, six items
    strata = np.array([random.permutation([0, 0, 1, 1, 2, 2]) for _ in range(8)])  # of 8 months
    strata[:5] = strata[0]  # most months alike, so that popularity and item are confounded
    logits = taste[:, None] + np.array([0.0, 1.5, 3.0])[strata]  # (2, 8, 6)
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    truth = np.exp(taste) / np.exp(taste).sum(-1, keepdims=True)

    states = torch.eye(2, dtype=torch.float64).repeat_interleave(8, 0)  # (16, 2)
    seen = torch.from_numpy(strata).repeat(2, 1)  # (16, 6)
    chosen = torch.from_numpy(shares).reshape(16, 6)
    learned = {}
    for name in ("plain", "stratified"):
        torch.manual_seed(0)
        items = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
        module = StratifiedScores(2, torch.ones(3) / 3).double()
        trained = [items, *(module.parameters() if name == "stratified" else [])]
        optimizer = torch.optim.LBFGS(trained, max_iter=400, line_search_fn="strong_wolfe")

        def loss(items=items, module=module, optimizer=optimizer):
            optimizer.zero_grad()
            value = functional.cross_entropy(module(states, items, seen), chosen)
            value.backward()
            return value

        optimizer.step(loss)
        with torch.no_grad():
            learned[name] = module.intervene(torch.eye(2).double(), items).exp().numpy()
    assert abs(learned["plain"] - truth).max() > 0.1
    assert abs(learned["stratified"] - truth).max() < 0.01
