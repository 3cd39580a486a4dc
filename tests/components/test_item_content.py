from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from llm4rec_recbole.components.fusion.item_content import (
    category_lists,
    item_content,
    item_mean_ratings,
    standardise,
)
from llm4rec_recbole.data.features import multi_hot


def test_categories_are_in_alphabetical_order() -> None:
    hot, names = multi_hot([[], ["War", "Drama"], ["Drama"]])
    assert names == ["Drama", "War"]
    np.testing.assert_array_equal(hot, [[0, 0], [1, 1], [1, 0]])


def test_no_categories_at_all() -> None:
    hot, names = multi_hot([[], []])
    assert names == []
    assert category_lists(hot).shape == (2, 0)


@given(arrays(bool, st.tuples(st.integers(1, 6), st.integers(0, 6))))
def test_lists_say_what_multi_hot_says(hot: np.ndarray) -> None:
    for row, ids in zip(hot, category_lists(hot)):
        assert (ids[ids > 0] - 1).tolist() == np.flatnonzero(row).tolist()
        assert not ids[row.sum() :].any()


def test_numbers_are_scaled_by_what_was_trained_on() -> None:
    years = np.array([[np.nan], [1990], [1994], [2050], [np.nan]])
    trained = np.array([False, True, True, False, True])
    np.testing.assert_array_equal(
        standardise(years, trained), [[np.nan], [-1], [1], [10], [np.nan]]
    )


def test_an_item_outside_training_changes_no_scale() -> None:
    numbers = np.random.default_rng(0).normal(size=(6, 2))
    trained = np.array([0, 1, 1, 1, 0, 1], dtype=bool)
    before = standardise(numbers, trained)
    numbers[4] = 1e9
    np.testing.assert_array_equal(standardise(numbers, trained)[trained], before[trained])


def test_a_number_no_trained_item_has_is_unknown() -> None:
    assert np.isnan(standardise(np.array([[1.0], [2.0]]), np.zeros(2, dtype=bool))).all()


def test_a_constant_number_is_only_centred() -> None:
    assert not standardise(np.full((3, 1), 7.0), np.ones(3, dtype=bool)).any()


def test_unknown_numbers_are_zero_and_marked() -> None:
    numbers = np.array([[np.nan, 1.0], [2.0, 3.0], [4.0, np.nan]])
    made = item_content(np.zeros((3, 2)), np.zeros((3, 0), dtype=bool), numbers, np.ones(3, bool))
    np.testing.assert_array_equal(made.is_number, [[0, 1], [1, 1], [1, 0]])
    assert made.numbers[0, 0] == 0
    assert made.numbers[2, 1] == 0


def test_one_rating_does_not_make_an_item_the_best() -> None:
    items = np.array([1, 2, 2, 2, 2, 2])
    means = item_mean_ratings(items, np.array([5.0, 4, 4, 4, 5, 4]), n_items=4, prior=5)
    overall = 26 / 6
    np.testing.assert_allclose(means[1:3], [(5 + 5 * overall) / 6, (21 + 5 * overall) / 10])
    assert np.isnan(means[[0, 3]]).all()
