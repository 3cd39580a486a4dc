"""The record's Table II metrics: from the lists that were ranked, None where nothing is known."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from llm4rec_recbole.evaluation.beyond_accuracy import beyond_accuracy
from llm4rec_recbole.evaluation.metrics import item_novelty
from llm4rec_recbole.evaluation.ranking import Rankings
from llm4rec_recbole.evaluation.users_file import BEYOND_ACCURACY, read_users, write_users

ITEM = "item_id:token\tclass:token_seq\na\tX\nb\tX\nc\tY\n"
USER = "user_id:token\tgender:token\nu\tF\nv\tM\n"
DATASET = SimpleNamespace(
    iid_field="item",
    uid_field="user",
    field2id_token={"item": np.array(["[PAD]", "a", "b", "c"]),
                    "user": np.array(["[PAD]", "u", "v"])},
    train_counts=np.array([0, 2, 1, 0]),
    train_users=2,
)  # fmt: skip
RANKINGS = Rankings(
    users=np.array([1, 2]),
    targets=np.array([1, 3]),
    rank_full=np.array([0.0, 2.0]),
    rank_uni100=np.array([0.0, 2.0]),
    rank_pop100=np.array([0.0, 2.0]),
    top_100=np.array([[1, 2, 0], [2, 1, 3]]),
    seconds=np.ones(1),
    batch_sizes=np.array([2]),
)


@pytest.fixture
def config(tmp_path):
    return {
        "data_path": str(tmp_path),
        "dataset": "d",
        "protocol": "loo",
        "benchmark_filename": None,
        "field_separator": "\t",
        "seq_separator": " ",
        "encoding": "utf-8",
        "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id",
        "TIME_FIELD": "timestamp",
    }


def test_with_all_features_every_metric_is_a_number(config, tmp_path):
    (tmp_path / "d.item").write_text(ITEM)
    (tmp_path / "d.user").write_text(USER)
    found, per_user = beyond_accuracy(RANKINGS, config, DATASET)
    parts, null = found.pop("fairness_parts@10"), found.pop("fairness_null@10")
    assert null["shuffles"] == 499
    # two users of two groups, and items that are two to one: each shuffle gives the same parity
    # or one of two
    assert null["users"] == {"low": pytest.approx(0.5), "high": pytest.approx(0.5)}
    assert null["items"]["low"] <= parts["category"] <= null["items"]["high"]
    assert per_user["intra_list_diversity@10"].tolist() == pytest.approx([0, 2 / 3])
    assert per_user["novelty@10"].tolist() == pytest.approx([1 / 2, 2 / 3])
    assert parts["gender"] == pytest.approx(0.5)  # NDCG 1/2 against 1
    # exposure of X, on average over its two items, and of Y, which stands third once
    exposed = [(1 + 1 / np.log2(3)) * 2 / 2, 1 / 2]
    assert parts["category"] == pytest.approx(exposed[1] / exposed[0])
    assert found == {
        "intra_list_diversity@10": pytest.approx(1 / 3),
        "novelty@10": pytest.approx(7 / 12),
        "coverage@10": 1.0,
        "coverage@100": 1.0,
        "fairness@10": pytest.approx((parts["gender"] + parts["category"]) / 2),
        "user_fairness@10": parts["gender"],
        "item_exposure@10": parts["category"],
    }


def test_without_features_nothing_is_made_up(config):
    found, per_user = beyond_accuracy(RANKINGS, config, DATASET)
    assert found["intra_list_diversity@10"] is None
    assert found["fairness@10"] is None
    assert found["fairness_parts@10"] == {"category": None}
    assert found["fairness_null@10"] == {"users": None, "items": None, "shuffles": 499}
    assert found["coverage@100"] == 1.0
    assert found["novelty@10"] == pytest.approx(7 / 12)
    assert np.isnan(per_user["intra_list_diversity@10"]).all()
    json.dumps(found, allow_nan=False)


def test_coverage_of_ten_counts_the_first_ten_only(config):
    top = np.arange(1, 25)[None, :].repeat(2, axis=0)
    many = Rankings(**(vars(RANKINGS) | {"top_100": top}))
    tokens = {"item": np.array(["[PAD]", *(f"i{n}" for n in range(40))]),
              "user": DATASET.field2id_token["user"]}  # fmt: skip
    counts = np.ones(41, dtype=int)
    dataset = SimpleNamespace(
        **(vars(DATASET) | {"field2id_token": tokens, "train_counts": counts})
    )
    found, _ = beyond_accuracy(many, config, dataset)
    assert (found["coverage@10"], found["coverage@100"]) == (10 / 40, 24 / 40)


def test_users_who_are_not_tested_are_in_no_group(config, tmp_path):
    (tmp_path / "d.user").write_text(USER)
    one = Rankings(**{name: getattr(RANKINGS, name)[:1] for name in vars(RANKINGS)})
    found, _ = beyond_accuracy(one, config, DATASET)
    assert found["fairness_parts@10"] == {"gender": None, "category": None}


def test_the_users_file_holds_each_users_values(config, tmp_path):
    _, per_user = beyond_accuracy(RANKINGS, config, DATASET)
    users, items = DATASET.field2id_token["user"], DATASET.field2id_token["item"]
    write_users(tmp_path / "u.parquet", RANKINGS, users, items, per_user)
    found = read_users(tmp_path / "u.parquet", BEYOND_ACCURACY)
    assert found["novelty@10"].tolist() == per_user["novelty@10"].tolist()
    assert found["intra_list_diversity@10"].isna().all()


def test_training_counts_are_what_novelty_is_made_of():
    assert item_novelty(DATASET.train_counts, DATASET.train_users).tolist() == [1, 0, 1, 1]
