from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.ranking import Rankings
from llm4rec_recbole.evaluation.users_file import (
    RANKED,
    has_lists,
    read_users,
    write_ranks,
    write_users,
)

USERS, ITEMS = ["[PAD]", "u-9", "7"], np.array(["[PAD]", "a", "b", "c"])


def rankings() -> Rankings:
    return Rankings(
        users=np.array([2, 1]),
        targets=np.array([3, 1]),
        rank_full=np.array([0.5, 2.0]),
        rank_uni100=np.array([0.0, 1.5]),
        rank_pop100=np.array([0.0, 2.0]),
        top_100=np.array([[3, 1, 2], [2, 0, 0]]),
        seconds=np.array([0.1]),
        batch_sizes=np.array([2]),
    )


def test_what_is_written_is_read_back_in_raw_tokens(tmp_path):
    path = tmp_path / "deep" / "seed_1.parquet"
    write_users(path, rankings(), USERS, ITEMS)
    users = read_users(path)
    assert users["user"].tolist() == ["7", "u-9"]
    assert users["target"].tolist() == ["c", "a"]
    assert users["rank_full"].tolist() == [0.5, 2.0]
    assert users["rank_uni100"].tolist() == [0.0, 1.5]
    assert users["rank_pop100"].tolist() == [0.0, 2.0]
    assert [list(row) for row in users["top_100"]] == [["c", "a", "b"], ["b"]]


def test_the_same_rankings_give_the_same_bytes(tmp_path):
    write_users(tmp_path / "a", rankings(), USERS, ITEMS)
    write_users(tmp_path / "b", rankings(), USERS, ITEMS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_only_selected_columns_are_read(tmp_path):
    write_users(tmp_path / "a", rankings(), USERS, ITEMS)
    assert list(read_users(tmp_path / "a", ["rank_full", "user"])) == ["rank_full", "user"]


def test_an_absent_users_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"seed_1\.parquet: there is no such"):
        read_users(tmp_path / "seed_1.parquet")


def test_a_truncated_users_file_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    write_users(path, rankings(), USERS, ITEMS)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"a\.parquet: not a whole Parquet file"):
        read_users(path)


def test_a_missing_column_is_named(tmp_path):
    import pandas as pd

    path = tmp_path / "a.parquet"
    pd.DataFrame({"user": ["1"], "target": ["2"]}).to_parquet(path)
    with pytest.raises(InputError, match="no column rank_full"):
        read_users(path, ["user", "rank_full"])


def test_what_git_keeps_is_the_file_without_its_lists(tmp_path):
    path = tmp_path / "whole.parquet"
    write_users(path, rankings(), USERS, ITEMS)
    write_ranks(tmp_path / "ranks.parquet", path)
    assert has_lists(path)
    assert not has_lists(tmp_path / "ranks.parquet")
    ranks = read_users(tmp_path / "ranks.parquet", RANKED, if_there=["top_100"])
    pd.testing.assert_frame_equal(ranks, read_users(path, RANKED))
    assert "top_100" in read_users(path, RANKED, if_there=["top_100", "novelty@10"])
    with pytest.raises(InputError, match="no column top_100"):
        read_users(tmp_path / "ranks.parquet")
    with pytest.raises(InputError, match="there is no such users file"):
        has_lists(tmp_path / "absent.parquet")
