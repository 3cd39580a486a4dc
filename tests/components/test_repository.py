"""What each kind of entry says, and what backs it as of a moment."""

from __future__ import annotations

import numpy as np
import pytest

from llm4rec_recbole.components.retrieval import repository
from llm4rec_recbole.components.retrieval.repository import (
    FULL_CREDIT,
    KINDS,
    Repository,
    category_entries,
    item_entries,
    relation_entries,
    review_entries,
)

VECTORS = np.array([[0, 0], [1, 0], [0, 1], [0.6, 0.8], [0, 0]], dtype=np.float32)  # 4: no text
USERS = np.array([1, 1, 1, 2, 2, 3, 3, 3])
ITEMS = np.array([1, 2, 3, 1, 2, 1, 2, 4])
TIMES = np.array([10, 20, 30, 15, 40, 50, 60, 70])


@pytest.mark.parametrize("step", [1, -1])
def test_an_item_is_backed_by_its_ratings_before_the_moment(step: int) -> None:
    """Users follow one another in training, so an item's dates are in no order."""
    repository = Repository(item_entries(VECTORS, ITEMS[::step], TIMES[::step]))
    np.testing.assert_array_equal(repository.entries.about, [[1, 0], [2, 0], [3, 0]])
    assert (repository.entries.times == -np.inf).all()
    every = np.arange(3)
    assert repository.support(every, 10).tolist() == [0, 0, 0]
    assert repository.support(every, 40).tolist() == [2, 1, 1]
    assert repository.support(every, 41).tolist() == [2, 2, 1]
    assert repository.support(every, np.inf).tolist() == [3, 3, 1]
    assert repository.support(np.array([2, 0, 2]), 31).tolist() == [1, 2, 1]
    assert (repository.last_support(every, 100) == -np.inf).all()


def test_a_relation_came_to_be_with_its_least_user_and_is_renewed_by_each_further_one() -> None:
    order = np.argsort(TIMES, kind="stable")
    data = (USERS[order], ITEMS[order], TIMES[order])
    repository = Repository(relation_entries(VECTORS, *data, min_users=2))
    np.testing.assert_array_equal(repository.entries.about, [[1, 2]])  # 1→2 at 20, 40 and 60
    assert repository.entries.times.tolist() == [40]
    one = np.array([0])
    assert repository.last_support(one, 41).tolist() == [40]
    assert repository.last_support(one, 60).tolist() == [40]
    assert repository.last_support(one, 61).tolist() == [60]
    assert repository.support(one, 61).tolist() == [3]
    np.testing.assert_allclose(repository.entries.keys, [[0.5**0.5, 0.5**0.5]], rtol=1e-6)


def test_a_category_is_the_mean_of_its_items_and_fully_credible() -> None:
    hot = np.array([[0, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=bool)
    repository = Repository(category_entries(VECTORS, hot))  # the third has no item with text
    np.testing.assert_allclose(
        repository.entries.keys, [[0.5**0.5, 0.5**0.5], [0.6, 0.8]], rtol=1e-6
    )
    assert not repository.entries.about.any()
    assert repository.credibility(np.arange(2), 0.0).tolist() == [1, 1]


def test_a_review_is_as_credible_as_its_votes() -> None:
    votes = np.array([0, 3, 1000, 5])
    reviews = review_entries(
        VECTORS[[1, 2, 3, 0]], np.array([1, 1, 2, 3]), np.array([5, 6, 7, 8]), votes
    )
    repository = Repository(reviews)
    assert repository.entries.times.tolist() == [5, 6, 7]
    assert repository.last_support(np.arange(3), 100).tolist() == [5, 6, 7]
    got = repository.credibility(np.arange(3), 100.0)
    np.testing.assert_allclose(got, [0, np.log(4) / np.log(1 + FULL_CREDIT), 1])


def test_credibility_rises_with_backing_and_ends_at_one() -> None:
    times = np.arange(300.0)
    repository = Repository(item_entries(VECTORS, np.ones(300, dtype=np.int64), times))
    got = [repository.credibility(np.array([0]), now)[0] for now in (0, 1, 10, 100, 300)]
    expected = [min(1, np.log(1 + n) / np.log(1 + FULL_CREDIT)) for n in (0, 1, 10, 100, 300)]
    np.testing.assert_allclose(got, expected)


def test_kinds_stay_apart_when_joined() -> None:
    hot = np.eye(5, 2, -1, dtype=bool)
    parts = (category_entries(VECTORS, hot), item_entries(VECTORS, ITEMS, TIMES))
    repository = Repository(*parts)
    assert [KINDS[kind] for kind in repository.entries.kinds] == ["category"] * 2 + ["item"] * 3
    assert repository.support(np.arange(5), np.inf).tolist() == [0, 0, 3, 3, 1]


@pytest.mark.parametrize("least", [1, 2, 3])
def test_a_relation_needs_its_least_users(least: int) -> None:
    pairs = relation_entries(VECTORS, USERS, ITEMS, TIMES, min_users=least).about.tolist()
    assert pairs == {1: [[1, 2], [2, 3], [2, 4]], 2: [[1, 2]], 3: [[1, 2]]}[least]


def test_in_larger_data_a_relation_needs_more_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "INTERACTIONS_PER_USER", 4)  # 8 interactions: 2 users, too few
    assert relation_entries(VECTORS, USERS, ITEMS, TIMES).about.tolist() == [[1, 2]]
    monkeypatch.setattr(repository, "INTERACTIONS_PER_USER", 2)  # 4 users
    assert not len(relation_entries(VECTORS, USERS, ITEMS, TIMES).kinds)


def test_no_interactions_relate_nothing() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert len(Repository(relation_entries(VECTORS, none, none, none))) == 0
