from __future__ import annotations

import numpy as np
import pytest

from llm4rec_recbole.data.held_out import HeldOut


def three_users(**changes) -> HeldOut:
    """User 1 saw 4, 2, 5; user 2 saw nothing; user 3 saw 6."""
    fields = {
        "users": np.array([1, 2, 3]),
        "targets": np.array([1, 3, 2]),
        "indptr": np.array([0, 3, 3, 4]),
        "items": np.array([4, 2, 5, 6]),
        "times": np.array([10, 20, 30, 5]),
        "n_items": 7,
    }
    return HeldOut(**(fields | changes))


def test_seen_mask_marks_the_history_and_the_pad():
    mask = three_users().seen_mask(np.array([2, 0, 1]))
    assert [np.flatnonzero(row).tolist() for row in mask] == [[0, 6], [0, 2, 4, 5], [0]]


def test_last_items_stand_on_the_left_oldest_first():
    ids, lengths = three_users().last(np.array([0, 1, 2]), 2)
    assert ids.tolist() == [[2, 5], [0, 0], [6, 0]]
    assert lengths.tolist() == [2, 0, 1]


def test_last_gives_the_whole_history_when_length_is_larger():
    ids, lengths = three_users().last(np.array([0]), 5)
    assert ids.tolist() == [[4, 2, 5, 0, 0]]
    assert lengths.tolist() == [3]


def test_nobody_has_a_history():
    nobody = three_users(indptr=np.zeros(4, int), items=np.array([], int), times=np.array([]))
    assert nobody.seen_mask(np.arange(3)).sum() == 3
    assert nobody.last(np.arange(3), 2)[0].sum() == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": np.array([1, 3])}, "U, U and U"),
        ({"indptr": np.array([0, 3, 3, 5])}, r"must have indptr\[-1\] entries"),
        ({"indptr": np.array([0, 3, 2, 4])}, "decrease"),
        ({"targets": np.array([1, 3, 7])}, "targets must lie"),
        ({"items": np.array([4, 0, 5, 6])}, "items must lie"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        three_users(**changes)
