from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.record_reader import by_method, read_failures, read_records
from llm4rec_recbole.evaluation.run_record import field_rows, page
from llm4rec_recbole.evaluation.users_file import averaged, per_seed_values
from tests.helpers.fake_results import add_failure, add_run

METHODS = ("EASE", "BPR", "Pop")
RANKS = np.array([0, 3, 12.5, 40])
TOP = Path(__file__).parents[2]


def values_of(results):
    return averaged(per_seed_values(by_method(read_records(results), METHODS)["ml-100k", "loo"]))


def edit(path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_records_are_grouped_by_data_set_protocol_and_method(tmp_path):
    for seed in (2, 10, 1):
        add_run(tmp_path, "BPR", RANKS, seed=seed)
    add_run(tmp_path, "EASE", RANKS)
    add_run(tmp_path, "EASE", RANKS, protocol="temporal")
    add_run(tmp_path, "NeuMF", RANKS, dataset="steam")
    grouped = by_method(read_records(tmp_path), METHODS)
    assert list(grouped) == [("ml-100k", "loo"), ("ml-100k", "temporal")]
    assert list(grouped["ml-100k", "loo"]) == ["EASE", "BPR"]
    assert [record.seed for record in grouped["ml-100k", "loo"]["BPR"]] == [1, 2, 10]


def test_the_protocol_that_leaves_no_users_file_is_passed_over(tmp_path):
    add_run(tmp_path, "BPR", RANKS, protocol="recbole")
    assert read_records(tmp_path) == []


def test_values_are_recomputed_for_each_user_and_sorted_by_user(tmp_path):
    add_run(tmp_path, "BPR", RANKS, users=["d", "a", "c", "b"])
    assert values_of(tmp_path)["BPR"]["full", "hit@10"].tolist() == [1, 0, 0, 1]


def test_seeds_are_averaged_for_each_user_first(tmp_path):
    add_run(tmp_path, "BPR", RANKS, seed=1)
    add_run(tmp_path, "BPR", RANKS[::-1].copy(), seed=2)
    assert values_of(tmp_path)["BPR"]["full", "hit@10"].tolist() == [0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.pop("seed"), "no seed"),
        (lambda r: r.update(method="EASE"), "says method 'EASE', its path says 'BPR'"),
        (lambda r: r["metrics"]["test"].pop("pop100"), "no metrics.test.pop100"),
        (
            lambda r: r["metrics"]["test"]["full"].update({"hit@5": "x"}),
            "metrics.test.full.hit@5 is x; it should be a valid number",
        ),
        (lambda r: r["cost"].update(train_seconds=True), "cost.train_seconds is True"),
        (lambda r: r["cost"].update(peak_memory_gb=-1), "greater than or equal to 0"),
        (lambda r: r["metrics"]["test"].update({"coverage@100": 1.5}), "less than or equal to 1"),
        (lambda r: r["provenance"].pop("git_commit"), "no provenance.git_commit"),
        (lambda r: r.update(metrics=None), "metrics is ~; it should be a table"),
        (
            lambda r: r["metrics"]["test"].update({"fairness_parts@10": [1]}),
            "fairness_parts@10 is [1]; it should be a table",
        ),
    ],
)
def test_a_bad_record_is_named_in_one_line(tmp_path, change, message):
    path = add_run(tmp_path, "BPR", RANKS)
    edit(path, change)
    with pytest.raises(InputError) as raised:
        read_records(tmp_path)
    assert str(raised.value).startswith(f"{path}: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_older_record_gives_the_parts_of_fairness(tmp_path):
    parts = {"gender": 0.9, "age": 0.5, "category": 0.4}
    add_run(tmp_path, "BPR", RANKS, beyond={"fairness_parts@10": parts})
    (record,) = read_records(tmp_path)
    assert record.beyond_accuracy["user_fairness@10"] == pytest.approx(0.7)
    assert record.beyond_accuracy["item_exposure@10"] == 0.4
    assert record.beyond_accuracy["coverage@10"] is None
    assert record.fairness_null == {}
    assert (record.cost["energy_wh"], record.cost["co2e_g"]) == (None, None)


def test_energy_adds_training_and_evaluation(tmp_path):
    path = add_run(tmp_path, "BPR", RANKS)
    energy = {"training_wh": 3.0, "training_co2e_g": 1.0, "evaluation_wh": 0.5,
              "evaluation_co2e_g": 0.25, "country": "FRA", "method": "CodeCarbon"}  # fmt: skip
    edit(path, lambda record: record["cost"].update(energy=energy))
    (record,) = read_records(tmp_path)
    assert (record.cost["energy_wh"], record.cost["co2e_g"]) == (3.5, 1.25)
    edit(path, lambda record: record["cost"]["energy"].pop("country"))
    with pytest.raises(InputError, match=r"there is no cost\.energy\.country"):
        read_records(tmp_path)


def test_every_committed_record_is_read():
    for folder in (TOP / "results", *sorted((TOP / "benchmarks/results").iterdir())):
        if (folder / "runs").is_dir():
            assert read_records(folder), folder


def test_a_truncated_record_is_named_with_its_line(tmp_path):
    path = add_run(tmp_path, "BPR", RANKS)
    path.write_text('{"dataset": "ml-100k",\n "protocol": "l')
    with pytest.raises(InputError, match=r"seed_1\.json:2: not JSON"):
        read_records(tmp_path)


def test_a_record_that_disagrees_with_its_users_file_names_both(tmp_path):
    path = add_run(tmp_path, "BPR", RANKS)

    def better(record):
        record["metrics"]["test"]["uni100"]["ndcg@10"] += 2e-9

    edit(path, better)
    with pytest.raises(InputError, match=r"seed_1\.json: test uni100 ndcg@10.*seed_1\.parquet"):
        values_of(tmp_path)


def test_absent_users_files_are_all_named_in_one_line(tmp_path):
    for method in ("BPR", "EASE", "Pop"):
        add_run(tmp_path, method, RANKS)
    for method in ("BPR", "Pop"):
        (tmp_path / f"users/ml-100k/loo/{method}/seed_1.parquet").unlink()
    with pytest.raises(
        InputError, match=r"2 users file.*BPR/seed_1.*Pop/seed_1.*dvc pull"
    ) as error:
        values_of(tmp_path)
    assert "\n" not in str(error.value)


def test_runs_on_different_test_users_are_not_compared(tmp_path):
    add_run(tmp_path, "BPR", RANKS)
    add_run(tmp_path, "EASE", RANKS, users=["u0", "u1", "u2", "u9"])
    with pytest.raises(InputError, match=r"BPR.*not the same test users.*EASE"):
        values_of(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda users: users.assign(user="a"), "user a has two rows"),
        (lambda users: users.assign(rank_uni100=-1.0), "negative rank"),
        (lambda users: users.assign(rank_pop100=np.nan), "has a NaN"),
        (lambda users: users[:0], "no rows"),
        (lambda users: users.drop(columns="target"), "no column target"),
    ],
)
def test_an_impossible_users_file_is_named(tmp_path, change, message):
    add_run(tmp_path, "BPR", RANKS)
    path = tmp_path / "users/ml-100k/loo/BPR/seed_1.parquet"
    change(pd.read_parquet(path)).to_parquet(path)
    with pytest.raises(InputError, match=rf"seed_1\.parquet: .*{message}"):
        values_of(tmp_path)


def test_failure_notes_are_read_by_name(tmp_path):
    add_failure(tmp_path, "LightGCN", "out of memory", seed=3)
    (tmp_path / "ml-100k.recbole.BPR.seed_1.json").write_text("not read")
    (failure,) = read_failures(tmp_path)
    assert (failure.dataset, failure.protocol, failure.method) == ("ml-100k", "loo", "LightGCN")
    assert (failure.seed, failure.error) == (3, "out of memory")


def test_a_bad_failure_note_is_named(tmp_path):
    (tmp_path / "ml-100k.loo.BPR.seed_1.json").write_text("{}")
    with pytest.raises(InputError, match=r"BPR\.seed_1\.json: there is no error"):
        read_failures(tmp_path)


def test_the_page_of_fields_is_fresh():
    assert (TOP / "docs" / "run_record.md").read_text(encoding="utf-8") == page()


def test_every_field_of_a_record_is_described():
    rows = {row.name: row for row in field_rows()}
    assert all(row.description.endswith(".") for row in rows.values())
    assert rows["cost.energy.training_wh"].kind == "a number in [0, inf)"
    assert not rows["metrics.test.coverage@10"].required
