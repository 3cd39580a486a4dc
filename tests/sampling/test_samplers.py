"""Negatives are never used items, and follow the distribution that the sampler promises."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llm4rec_recbole.components.debiasing.negative_sampling import (
    PopularityStrataSampler,
    PropensitySampler,
)
from llm4rec_recbole.components.debiasing.propensity import ObservedPairs
from llm4rec_recbole.errors import InputError

SAMPLERS = {"propensity": PropensitySampler, "popularity_strata": PopularityStrataSampler}
N_USERS, N_ITEMS = 31, 41


def interactions(seed=0, n_users=N_USERS):
    """Item i is used by a user with probability i / 60."""
    random = np.random.default_rng(seed)
    used = random.random((n_users, N_ITEMS)) < np.arange(N_ITEMS) / 60
    used[0] = used[:, 0] = False
    used[1:, 40] = True
    return ObservedPairs(*np.nonzero(used), n_users, N_ITEMS)


def chi_square(found, expected):
    possible = expected > 0
    assert not found[~possible].any()
    return ((found - expected)[possible] ** 2 / expected[possible]).sum() / possible.sum()


@pytest.mark.parametrize("name", SAMPLERS)
@given(
    pairs=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5)), min_size=1),
    num=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_no_negative_is_used_or_the_pad(name, pairs, num, seed):
    users, items = np.array(pairs).T
    seen = ObservedPairs(users, items, 5, 6)
    if (seen.activity() == 5).any():
        with pytest.raises(InputError, match="interacted with every item"):
            SAMPLERS[name](seen)
        return
    torch.manual_seed(seed)
    drawn = SAMPLERS[name](seen).sample_by_user_ids(users, items, num)
    assert drawn.dtype == torch.int64
    assert len(drawn) == num * len(users)
    assert drawn.min() >= 1
    assert drawn.max() < 6
    assert not seen.contains(np.tile(users, num), drawn.numpy()).any()


@pytest.mark.parametrize("alpha", [1.0, 0.5, 0.0])
def test_negatives_follow_the_propensities(alpha):
    seen = interactions()
    sampler = PropensitySampler(seen, alpha)
    user = 7
    torch.manual_seed(0)
    drawn = sampler.sample_by_user_ids(np.full(20_000, user), np.full(20_000, 40), 1)
    with torch.no_grad():
        weights = sampler.model(torch.tensor(user), torch.arange(N_ITEMS)).numpy() ** alpha
    weights[0] = 0
    weights[seen.contains(np.full(N_ITEMS, user), np.arange(N_ITEMS))] = 0
    expected = 20_000 * weights / weights.sum()
    assert chi_square(np.bincount(drawn, minlength=N_ITEMS), expected) < 2


def test_popular_items_are_likelier_negatives_and_the_more_so_with_alpha():
    seen = interactions()
    users = seen.users.repeat(50)
    popularity = []
    for alpha in (-1.0, 0.0, 1.0, 2.0):
        torch.manual_seed(0)
        drawn = PropensitySampler(seen, alpha).sample_by_user_ids(users, np.full(len(users), 40), 1)
        popularity.append(seen.popularity()[drawn].mean())
    assert popularity == sorted(popularity)


def test_many_users_share_levels_of_activity():
    seen = interactions(n_users=500)
    sampler = PropensitySampler(seen)
    levels, activity = sampler._level[1:], seen.activity()[1:]
    assert len(np.unique(levels)) == 64
    assert all(np.ptp(activity[levels == level]) <= 6 for level in range(1, 63))
    drawn = sampler.sample_by_user_ids(seen.users, seen.items, 1).numpy()
    assert not seen.contains(seen.users, drawn).any()


def test_negatives_share_the_stratum_of_their_positive():
    seen = interactions()
    sampler = PopularityStrataSampler(seen, strata=5)
    torch.manual_seed(0)
    drawn = sampler.sample_by_user_ids(seen.users, seen.items, 3).numpy()
    users, stratum = np.tile(seen.users, 3), sampler.strata[np.tile(seen.items, 3)]
    for row in np.flatnonzero(sampler.strata[drawn] != stratum):  # only where none of it is left
        items = np.flatnonzero(sampler.strata[1:] == stratum[row]) + 1
        assert seen.contains(np.full(len(items), users[row]), items).all()
    assert (sampler.strata[drawn] == stratum).mean() > 0.9


def test_negatives_within_a_stratum_are_uniform():
    seen = interactions()
    sampler = PopularityStrataSampler(seen, strata=4)
    user, positive = 9, 5
    torch.manual_seed(0)
    rows = np.full(10_000, user), np.full(10_000, positive)
    drawn = sampler.sample_by_user_ids(*rows, 1)
    expected = (sampler.strata == sampler.strata[positive]).astype(float)
    expected[[0, positive]] = 0
    expected[seen.contains(np.full(N_ITEMS, user), np.arange(N_ITEMS))] = 0
    expected *= 10_000 / expected.sum()
    assert chi_square(np.bincount(drawn, minlength=N_ITEMS), expected) < 3


def test_alpha_is_the_share_drawn_from_the_own_stratum():
    random = np.random.default_rng(0)  # many items, few used, so that hardly any are rejected
    users, items = random.integers(1, 301, 3000), random.integers(1, 401, 3000)
    seen = ObservedPairs(users, items, 301, 401)
    for alpha in (0.0, 0.6):
        sampler = PopularityStrataSampler(seen, alpha, 4)
        torch.manual_seed(0)
        drawn = sampler.strata[sampler.sample_by_user_ids(seen.users, seen.items, 10).numpy()]
        prior = np.bincount(sampler.strata[seen.items]) / len(seen)
        own = sampler.strata[np.tile(seen.items, 10)]
        share = alpha + (1 - alpha) * (prior**2).sum()
        assert (drawn == own).mean() == pytest.approx(share, abs=0.02)
        if alpha == 0:
            assert np.bincount(drawn) / len(drawn) == pytest.approx(prior, abs=0.02)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_user_with_one_item_left_gets_that_one(name):
    used = np.array([item for item in range(1, 400) if item != 77])
    users = np.concatenate([np.full(398, 1), np.full(3, 2)])
    seen = ObservedPairs(users, np.concatenate([used, [1, 2, 77]]), 3, 400)
    drawn = SAMPLERS[name](seen).sample_by_user_ids(np.full(9, 1), used[:9], 1)
    assert drawn.tolist() == [77] * 9


def test_a_positive_outside_the_training_pairs_is_not_a_negative():
    seen = ObservedPairs(np.array([1, 2]), np.array([1, 2]), 3, 4)
    sampler = PopularityStrataSampler(seen)
    drawn = sampler.sample_by_user_ids(np.full(50, 1), np.full(50, 3), 1)
    assert set(drawn.tolist()) == {2}
    tight = PopularityStrataSampler(ObservedPairs(np.array([1]), np.array([1]), 2, 3))
    with pytest.raises(InputError, match="no item left"):
        tight.sample_by_user_ids(np.array([1]), np.array([2]), 1)


@pytest.mark.parametrize("name", SAMPLERS)
def test_torchs_seed_decides_what_is_drawn(name):
    seen = interactions()
    sampler = SAMPLERS[name](seen)
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(sampler.sample_by_user_ids(seen.users, seen.items, 2))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize(
    ("sampler", "options", "message"),
    [
        (PopularityStrataSampler, {"alpha": 1.5}, "alpha must be a share"),
        (PopularityStrataSampler, {"strata": 0}, "into 0 strata"),
    ],
)
def test_invalid_options_are_refused(sampler, options, message):
    with pytest.raises(InputError, match=message):
        sampler(interactions(), **options)
