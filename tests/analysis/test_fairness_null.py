"""What shuffled groups say of the users' part of fairness."""

from __future__ import annotations

import numpy as np
import pytest

from llm4rec_recbole.analysis.fairness_null import null_ranges, read_null_ranges, shuffle_groups
from llm4rec_recbole.cli.compare import fairness_null as main
from llm4rec_recbole.errors import InputError
from tests.helpers.fake_results import add_run

USERS = 200
HALVES = np.repeat([0, 1], USERS // 2)


def write_groups(folder, genders: list[str]) -> None:
    lines = ["user_id:token\tgender:token", *(f"u{n}\t{g}" for n, g in enumerate(genders))]
    (folder / "shop").mkdir(parents=True)
    (folder / "shop/shop.inter").touch()
    (folder / "shop/shop.user").write_text("\n".join(lines) + "\n")


def test_a_real_gap_lies_below_the_range_and_a_chance_one_within():
    benefit = np.where(HALVES == 0, 0.9, 0.1)
    measured, dealt = shuffle_groups(benefit, {"gender": HALVES}, 99)
    assert measured == pytest.approx(0.1 / 0.9)
    assert measured < dealt.min()
    equal = np.tile([0.9, 0.1], USERS // 2)
    assert shuffle_groups(equal, {"gender": HALVES}, 99)[0] == pytest.approx(1)


def test_groups_that_mean_nothing_lie_within_the_range_19_times_in_20():
    random = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        measured, dealt = shuffle_groups(random.random(60), {"g": random.integers(0, 3, 60)}, 79)
        inside += measured >= np.quantile(dealt, 0.05)
    assert 178 <= inside <= 199


def test_users_of_no_known_group_count_in_none():
    benefit = np.array([1.0, 1.0, 0.5, 0.5, 0.0, 0.0])
    groups = {"g": np.array([0, 0, 1, 1, -1, -1])}
    assert shuffle_groups(benefit, groups, 1)[0] == pytest.approx(0.5)


def test_a_run_is_measured_on_its_own_users_file(tmp_path):
    write_groups(tmp_path / "data", ["M" if n < 30 else "F" for n in range(60)])
    add_run(tmp_path / "results", "BPR", np.repeat([0.0, 50.0], 30), dataset="shop")
    add_run(tmp_path / "results", "EASE", np.tile([0.0, 50.0], 30), dataset="shop")
    assert main(["--results", str(tmp_path / "results"), "--data", str(tmp_path / "data")]) == 0
    by_gender, even = read_null_ranges(tmp_path / "results/fairness_null.csv")
    assert (by_gender.method, by_gender.users, by_gender.users_part) == ("BPR", 60, 0)
    assert by_gender.low > 0
    assert even.users_part == 1
    groups = {"gender": np.repeat([1, 0], 30)}
    _, dealt = shuffle_groups(np.repeat([1.0, 0.0], 30), groups)
    within = (dealt >= by_gender.low) & (dealt <= by_gender.high)
    assert (dealt < by_gender.low).sum() <= 0.025 * len(dealt) < (dealt <= by_gender.low).sum()
    assert within.mean() >= 0.95


def test_one_group_of_users_or_none_known_leaves_no_range(tmp_path):
    add_run(tmp_path / "results", "BPR", np.repeat([0.0, 50.0], 30), dataset="shop")
    assert null_ranges(tmp_path / "results", tmp_path / "data") == []
    write_groups(tmp_path / "data", ["M"] * 60)
    assert null_ranges(tmp_path / "results", tmp_path / "data") == []
    assert read_null_ranges(tmp_path / "results/fairness_null.csv") == []


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "fairness_null.csv"
    path.write_text("dataset,protocol\nml-100k,loo\n")
    with pytest.raises(InputError, match=r"fairness_null\.csv:2: not a nullrange"):
        read_null_ranges(path)
