"""The caption says what a protocol does to the order of time, and what a shuffled history costs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.record_reader import ShuffleTest
from llm4rec_recbole.files import write_json
from llm4rec_recbole.reporting.inputs import time_note

SHARES = {
    "train_later_than_test": 0.4125,
    "valid_not_before_test": 0.4942,
    "test_at_last_time": 0.44,
    "test_within_an_hour": 0.9332,
}


def test_a_note_has_the_shares_and_the_shuffle_test(tmp_path: Path) -> None:
    write_json(tmp_path / "data" / "ml-100k.json", {"loo": {"time_order": SHARES}})
    test = ShuffleTest("ml-100k", "loo", "RecencyEASE", 943, 0.101, 0.071, 0.02, 0.04, 5)
    write_json(tmp_path / "data" / "order.json", [asdict(test)])
    assert time_note(tmp_path, "ml-100k", "loo") == (
        "ml-100k, loo: 41 % of the training interactions are later than the test item (mean over "
        "users). 93 % of the test items come within an hour of the item before, 44 % at the same "
        "time. With histories in random order RecencyEASE has NDCG@10 0.071 in place of 0.101, "
        "-0.030 [-0.040, -0.020]."
    )


def test_without_a_summary_there_is_no_note(tmp_path: Path) -> None:
    assert time_note(tmp_path, "ml-100k", "loo") == ""
    write_json(tmp_path / "data" / "beauty.json", {"loo": {"test_users": 3}})
    assert time_note(tmp_path, "beauty", "loo") == ""


@pytest.mark.parametrize(
    "content",
    [
        *({}, [], {"loo": {"time_order": {"test_at_last_time": "x"}}}),
        {"loo": {"time_order": {"train_later_than_test": 0.4}}},
        {"loo": {"time_order": SHARES | {"test_at_last_time": 44}}},
        {"loo": {"time_order": {}}},
    ],
)
def test_a_bad_summary_is_refused(tmp_path: Path, content: object) -> None:
    write_json(tmp_path / "data" / "ml-100k.json", content)
    with pytest.raises(InputError):
        time_note(tmp_path, "ml-100k", "loo")


@pytest.mark.parametrize("change", [{"shuffled": "x"}, {"low": None}, {"method": 5}, {"more": 1}])
def test_a_shuffle_test_with_other_values_is_refused(tmp_path: Path, change: dict) -> None:
    test = ShuffleTest("ml-100k", "loo", "RecencyEASE", 943, 0.101, 0.071, 0.02, 0.04, 5)
    write_json(tmp_path / "data" / "order.json", [asdict(test) | change])
    with pytest.raises(InputError, match="not results of the shuffle test"):
        time_note(tmp_path, "ml-100k", "loo")
