from __future__ import annotations

import numpy as np
import pytest

from llm4rec_recbole.data.features import item_categories, user_groups

ITEMS = """item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq
7\tToy Story\t1995\tComedy Animation
3\tunknown\t\tunknown
5\tHeat\t1995\tCrime
"""
USERS = """user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token
a\t17\tM\tartist\t1
b\t18\tF\tartist\t2
c\t24\t\tartist\t3
d\t56\tM\tartist\t4
e\t\tF\tartist\t5
"""
PAD = "[PAD]"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "d.item").write_text(ITEMS)
    (tmp_path / "d.user").write_text(USERS)
    return tmp_path


def test_categories_stand_in_alphabetical_order_by_internal_id(files):
    found = item_categories(files / "d.item", np.array([PAD, "5", "7", "3"]))
    #                        Animation Comedy Crime
    assert found.tolist() == [
        [False, False, False],
        [False, False, True],
        [True, True, False],
        [False, False, False],
    ]


def test_a_category_without_items_is_dropped(files):
    assert item_categories(files / "d.item", [PAD, "5"]).tolist() == [[False], [True]]


def test_an_item_that_the_file_lacks_has_no_category(files):
    assert not item_categories(files / "d.item", [PAD, "7", "99"])[2].any()


def test_without_a_file_there_is_nothing(tmp_path):
    assert item_categories(tmp_path / "d.item", [PAD, "7"]).shape == (2, 0)
    assert user_groups(tmp_path / "d.user", [PAD, "a"]) == {}


def test_users_fall_into_groups_and_unknown_ones_into_none(files):
    groups = user_groups(files / "d.user", np.array([PAD, "d", "b", "c", "a", "e", "zz"]))
    assert groups["gender"].tolist() == [-1, 1, 0, -1, 1, 0, -1]
    assert groups["age"].tolist() == [-1, 2, 1, 1, 0, -1, -1]


def test_an_attribute_that_is_the_same_for_all_makes_no_groups(files):
    assert "occupation" not in user_groups(files / "d.user", [PAD, "a", "b", "c", "d", "e"])


def test_the_coded_ages_of_movielens_1m_are_bands_already(tmp_path):
    codes = [1, 18, 25, 35, 45, 50, 56]
    rows = [f"u{age}\t{age}" for age in codes]
    (tmp_path / "d.user").write_text("\n".join(["user_id:token\tage:token", *rows]) + "\n")
    tokens = [PAD, *(f"u{age}" for age in codes)]
    assert user_groups(tmp_path / "d.user", tokens)["age"].tolist() == [-1, 0, 1, 2, 3, 4, 5, 6]
