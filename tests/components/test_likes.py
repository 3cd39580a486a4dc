"""A rating is a like from the user's own mean on."""

from __future__ import annotations

import numpy as np

from llm4rec_recbole.components.adaptation.events import likes, mean_ratings


def test_means_are_of_each_user_and_of_all_for_a_user_without_ratings() -> None:
    users, ratings = np.array([1, 1, 2, 2]), np.array([2.0, 4.0, 5.0, np.nan])
    assert mean_ratings(users, ratings, 4).tolist() == [11 / 3, 3.0, 5.0, 11 / 3]


def test_only_training_ratings_make_the_means() -> None:
    users, ratings = np.array([1, 1, 1, 2]), np.array([2.0, 4.0, 3.0, 1.0])
    means = mean_ratings(users[:2], ratings[:2], 3)
    assert likes(ratings, means[users]).tolist() == [False, True, True, False]


def test_a_user_of_equal_ratings_likes_all_and_no_rating_is_a_like() -> None:
    users, ratings = np.array([1, 1, 1]), np.array([0.1, 0.1, np.nan])
    assert likes(ratings, mean_ratings(users, ratings, 2)[users]).all()
    assert likes(0.1, float(np.mean([0.1] * 3)))
    assert not likes(0.0, 0.1)
