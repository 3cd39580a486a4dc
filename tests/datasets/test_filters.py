"""Which rows stay: each that goes is counted under one reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from llm4rec_recbole.datasets.base import LogBuilder, RowReport
from llm4rec_recbole.datasets.convert import core, filter_rows
from llm4rec_recbole.datasets.spec import Filters
from llm4rec_recbole.errors import InputError


def log_of(rows):
    builder = LogBuilder()
    for row in rows:
        builder.add(*row)
    return builder.build()


def apply_to(rows, **filters):
    row_report = RowReport(Path("ratings.dat"), "ratings", read=len(rows))
    row_mask = filter_rows(log_of(rows), Filters(**filters), row_report)
    assert row_report.remaining == row_mask.sum()
    return row_mask.tolist(), row_report.dropped


def test_only_the_same_user_item_and_time_is_a_repetition():
    rows = [
        ("u", "i", 1, 5),
        ("u", "i", 2, 5),
        ("v", "i", 1, 5),
        ("u", "i", 1, 2),
        ("u", "j", 1, 5),
    ]
    row_mask, dropped = apply_to(rows)
    assert row_mask == [True, True, True, False, True]
    assert dropped == {"same user, item and time again": 1}


def test_ratings_are_compared_as_the_property_file_says():
    rows = [("u", "a", 1, 3.5), ("u", "b", 2, 4), ("u", "c", 3, 5)]
    assert apply_to(rows, rating=">=4") == ([False, True, True], {"rating is not >=4": 1})
    assert apply_to(rows, rating=">4")[0] == [False, False, True]


def test_a_rating_filter_is_refused_if_there_are_no_ratings():
    with pytest.raises(InputError, match="has no ratings"):
        filter_rows(log_of([("u", "i", 1)]), Filters(rating=">=4"), RowReport(Path("x")))


@pytest.mark.parametrize("filters", [{"rating": "4 or more"}, {"cores": 5}])
def test_an_invalid_filter_cannot_be_made(filters):
    with pytest.raises(ValidationError):
        Filters(**filters)


def test_the_core_shrinks_until_all_have_enough():
    """Without w, item c has one row; without that, v has one; a and b keep u and x."""
    rows = [("u", "a"), ("u", "b"), ("x", "a"), ("x", "b"), ("v", "a"), ("v", "c"), ("w", "c")]
    row_mask, dropped = apply_to([(*row, 1) for row in rows], core=2)
    assert row_mask == [True] * 4 + [False] * 3
    assert dropped == {"its user or item has fewer than 2 interactions": 3}


ids = st.lists(st.integers(0, 7), min_size=60, max_size=60)


@settings(max_examples=40)
@given(ids, ids, st.integers(1, 5))
def test_the_core_equals_the_naive_one(users, items, least):
    rows = set(range(60))
    while True:
        bad = {
            r
            for r in rows
            if sum(users[s] == users[r] for s in rows) < least
            or sum(items[s] == items[r] for s in rows) < least
        }
        if not bad:
            break
        rows -= bad
    found = core(np.array(users), np.array(items), least, np.ones(60, dtype=bool))
    assert set(np.flatnonzero(found)) == rows


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("uv"), st.sampled_from("ij"), st.integers(0, 2))))
def test_repetitions_equal_the_naive_ones(rows):
    seen, first = set(), []
    for row in rows:
        first.append(row not in seen)
        seen.add(row)
    assert apply_to(rows)[0] == first
