"""Debiasing's groups: those that are asked for, else the first that are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.models.debiasing import group_membership

GENDER, AGE = np.array([-1, 0, 1, 0]), np.array([-1, 2, 0, 1])  # the pad first


def known(**groups: np.ndarray) -> Any:
    return SimpleNamespace(user_groups=groups, categories=np.array([[0, 0], [1, 1], [0, 1]]))


def test_the_attribute_that_is_named_makes_the_groups() -> None:
    of_users, member = group_membership(known(gender=GENDER, age=AGE), "age")
    assert of_users
    assert member.tolist() == [[0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert group_membership(known(gender=GENDER, age=AGE), None)[1].tolist() == [
        [0, 0], [1, 0], [0, 1], [1, 0]
    ]  # fmt: skip


def test_items_are_shared_out_among_their_categories_where_no_user_is_known() -> None:
    of_users, member = group_membership(known(), None)
    assert not of_users
    assert member.tolist() == [[0, 0], [0.5, 0.5], [0, 1]]


def test_an_attribute_that_is_not_known_is_refused_and_the_known_are_named() -> None:
    with pytest.raises(InputError, match=r"fairness_groups is age, .*knows gender"):
        group_membership(known(gender=GENDER), "age")
