"""A run from options to record: what it writes, and what it leaves alone when it fails."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from llm4rec_recbole import checkpoints
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.run_record import parse_record
from llm4rec_recbole.evaluation.users_file import read_users
from llm4rec_recbole.training.experiment import prepare, train
from llm4rec_recbole.training.run import run
from tests.helpers.two_cycles import N_USERS

COST = {
    "train_seconds",
    "inference_ms_per_user",
    "inference_batch_size",
    "peak_memory_gb",
    "model_size_mb",
    "parameters",
    "epochs",
    "padding_share",
    "energy",
    "energy_missing",
}
PROVENANCE = {
    "data_sha256",
    "config_sha256",
    "lock_sha256",
    "git_commit",
    "device",
    "threads",
    "hardware",
    "torch",
    "python",
    "started",
    "pretrained",
    "llm_dtype",
    "llm_layers",
}


def test_a_record_holds_what_design_says(options):
    path = run("EASE", "two_cycles", options=options | {"seed": 7})
    assert path.parts[-5:] == ("runs", "two_cycles", "loo", "EASE", "seed_7.json")
    record = json.loads(path.read_text())
    assert list(record) == [
        "dataset",
        "protocol",
        "method",
        "seed",
        "components",
        "metrics",
        "history",
        "cost",
        "provenance",
    ]
    assert set(record["cost"]) == COST
    assert set(record["provenance"]) == PROVENANCE
    assert {"full", "uni100", "pop100"} <= set(record["metrics"]["test"])
    assert set(record["metrics"]["valid"]) >= {"hit@10", "ndcg@10"}


@pytest.mark.parametrize(
    ("model", "given"),
    [("EASE", {}), ("SASRec", {}), ("EnhancedGenRec", {"llm": "scratch-64x2", "components": []})],
)
def test_every_field_of_a_record_is_described(options, model, given):
    path = run(model, "two_cycles", options=options | {"epochs": 1} | given)
    content = json.loads(path.read_text())
    described = parse_record(content, path).model_dump(by_alias=True, exclude_unset=True)
    assert described == content


def test_a_record_has_every_validation_and_the_best_one_is_tested(options):
    path = run("SASRec", "two_cycles", options=options | {"epochs": 6, "eval_step": 2})
    record = json.loads(path.read_text())
    assert [each["epoch"] for each in record["history"]] == [2, 4, 6]
    best = max(each["ndcg@10"] for each in record["history"])
    assert best == record["metrics"]["valid"]["ndcg@10"]


def test_the_checkpoint_of_a_run_with_a_record_is_finished(options):
    run("EASE", "two_cycles", options=options)
    (path,) = Path(options["checkpoint_dir"]).glob("*.safetensors")
    assert checkpoints.read_header(path).finished
    train("EASE", "two_cycles", options=options | {"seed": 1})  # no record yet
    (other,) = Path(options["checkpoint_dir"]).glob("*seed_1*.safetensors")
    header = checkpoints.read_header(other)
    assert not header.finished
    assert (header.run["model"], header.run["options"]["seed"]) == ("EASE", 1)


def test_options_change_the_configuration_hash_and_places_do_not(options, tmp_path):
    def hash_of(**changed) -> str:
        record = json.loads(run("EASE", "two_cycles", options=options | changed).read_text())
        return record["provenance"]["config_sha256"]

    first = hash_of()
    assert hash_of(results_dir=str(tmp_path / "elsewhere"), quiet=False) == first
    assert hash_of(reg_weight=3.0) != first


def test_temporal_tests_only_what_comes_after_the_cut(options):
    path = run("EASE", "two_cycles", options=options | {"protocol": "temporal"})
    assert "temporal" in path.parts
    users = read_users(Path(str(path).replace("runs", "users")).with_suffix(".parquet"))
    assert 0 < len(users) <= 60


def test_a_full_disk_gives_one_line_and_leaves_the_earlier_record(options, monkeypatch):
    path = run("EASE", "two_cycles", options=options)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    message = r"\.safetensors: cannot write: No space left on device"
    with pytest.raises(InputError, match=message) as error:
        run("EASE", "two_cycles", options=options | {"reg_weight": 3.0})
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before
    assert not list(path.parent.glob(".*"))  # no temporary file stays


def test_a_broken_data_file_is_named_with_its_line_before_training(options, two_cycles, tmp_path):
    folder = tmp_path / "broken" / "two_cycles"
    folder.mkdir(parents=True)
    rows = (two_cycles / "two_cycles" / "two_cycles.inter").read_text().splitlines()
    rows[4] = rows[4].rsplit("\t", 1)[0] + "\tnan"
    (folder / "two_cycles.inter").write_text("\n".join(rows) + "\n")
    with pytest.raises(InputError, match=r"two_cycles\.inter:5: "):
        run("EASE", "two_cycles", options=options | {"data_path": str(folder.parent)})


def test_a_user_with_one_interaction_trains_and_is_not_tested(options, two_cycles, tmp_path):
    folder = tmp_path / "longer" / "two_cycles"
    folder.mkdir(parents=True)
    text = (
        two_cycles / "two_cycles" / "two_cycles.inter"
    ).read_text() + "lonely\ti1\t5\t1000000000\n"
    (folder / "two_cycles.inter").write_text(text)
    path = run(
        "SASRec", "two_cycles", options=options | {"data_path": str(folder.parent), "epochs": 5}
    )
    users = read_users(Path(str(path).replace("runs", "users")).with_suffix(".parquet"))
    assert "lonely" not in set(users.user)
    assert len(users) == 60


@pytest.mark.parametrize("model", ["BERT4Rec", "EnhancedGenRec", "P5", "SASRec"])
def test_histories_of_one_item_are_refused_before_training(
    two_cycles: Path, tmp_path: Path, options: dict[str, Any], model: str
) -> None:
    folder = tmp_path / "short" / "two_cycles"
    folder.mkdir(parents=True)
    rows = (two_cycles / "two_cycles" / "two_cycles.inter").read_text().splitlines()
    (folder / "two_cycles.inter").write_text("\n".join(rows[: 1 + 3 * N_USERS]) + "\n")
    with pytest.raises(InputError, match="no user has two training interactions"):
        prepare(model, "two_cycles", options=options | {"data_path": str(folder.parent)})


@pytest.mark.parametrize("model", ["BPR", "EnhancedGenRec"])
def test_interactions_read_without_times_are_refused(options: dict[str, Any], model: str) -> None:
    without = options | {"load_col": {"inter": ["user_id", "item_id"]}}
    with pytest.raises(InputError, match="but timestamp is needed"):
        prepare(model, "two_cycles", options=without)
