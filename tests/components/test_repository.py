"""What an entry of an item may say at a moment: the reviews that were written before it."""

from __future__ import annotations

import numpy as np

from llm4rec_recbole.components.retrieval.repository import entries_of, item_reviews

VECTORS = np.array([[1, 0], [0, 1], [3, 0], [0, 5]], dtype=np.float32)
ITEMS, DATES = np.array([2, 1, 2, 2]), np.array([30.0, 5.0, 10.0, 20.0])


def test_reviews_of_an_item_are_read_from_old_to_new() -> None:
    reviews = item_reviews(VECTORS, ITEMS, DATES, 4)
    assert reviews.dates.tolist() == [
        [np.inf] * 3,
        [5, np.inf, np.inf],
        [10, 20, 30],
        [np.inf] * 3,
    ]
    assert reviews.vectors.shape == (4, 4, 2)
    assert not reviews.vectors[:, 0].any()
    assert reviews.vectors[1, 1].tolist() == [0, 1]
    np.testing.assert_allclose(reviews.vectors[2, 1:], [[3, 0], [1.5, 2.5], [4 / 3, 5 / 3]])


def test_an_entry_counts_the_reviews_before_the_query() -> None:
    reviews = item_reviews(VECTORS, ITEMS, DATES, 4)
    items, times = np.array([[2, 1, 0], [2, 3, 1]]), np.array([20.0, 31.0])
    entries = entries_of(items, times, reviews)
    assert entries.tolist() == [[2 * 4 + 1, 1 * 4 + 1, -1], [2 * 4 + 3, 3 * 4, 1 * 4 + 1]]


def test_without_reviews_an_entry_is_its_item() -> None:
    assert entries_of(np.array([[2, 0]]), np.zeros(1), None).tolist() == [[2, -1]]


def test_no_reviews_at_all_make_an_empty_table() -> None:
    none = item_reviews(VECTORS[:0], ITEMS[:0], DATES[:0], 3)
    assert none.vectors.shape == (3, 1, 2)
    assert entries_of(np.array([[2]]), np.zeros(1), none).tolist() == [[2]]
