"""Which ratings are a like: explicit feedback says whether an item should become more likely.

A user likes an item if its rating is at least the mean of the user's own ratings. Users rate on
scales of their own: on ml-100k the users' means lie between 1.5 and 4.9. A user who gives every
item the same rating likes all of them. A user without earlier ratings has the mean of all ratings.
The paper defines no rule.
"""

from __future__ import annotations

import numpy as np

_ROUNDING = 1e-9  # a mean of equal ratings may differ from them in the last bit


def mean_ratings(users: np.ndarray, ratings: np.ndarray, n_users: int) -> np.ndarray:
    """Return each user's mean rating, (n_users,) float64; without ratings the mean of all.

    users, ratings: (N,). NaN is no rating.
    """
    if (unrated := np.isnan(ratings)).any():
        users, ratings = users[~unrated], ratings[~unrated]
    values = ratings.astype(np.float64)
    counts = np.bincount(users, minlength=n_users)
    sums = np.bincount(users, values, minlength=n_users)
    overall = values.mean() if len(values) else 0.0
    return np.where(counts > 0, sums / np.maximum(counts, 1), overall)


def is_like(rating: float, mean: float) -> bool:
    """Return whether a user with this mean rating likes an item; True for NaN, no rating."""
    return not rating < mean - _ROUNDING


def likes(ratings: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return whether each rating is a like, (N,) bool; True for NaN, no rating.

    ratings: (N,); means: (N,), each the mean rating of the rating's user.
    """
    return ~(ratings < means - _ROUNDING)
