"""Runs beyond the default ones: what is there is kept, what fails is named."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.studies import committed_results, other_datasets
from llm4rec_recbole.evaluation.paths import Run
from llm4rec_recbole.evaluation.users_file import RANKED, read_users
from tests.helpers.fake_results import add_run, ranks_around

RUN = Run("ml-100k", "loo", "Pop", 3)


@pytest.fixture
def commands(monkeypatch):
    """The commands that were run; each fails with two lines."""
    seen = []

    def fail(command, **unused):
        seen.append(command)
        return SimpleNamespace(returncode=2, stderr="warning\nrun_recbole: no such thing\n")

    monkeypatch.setattr(subprocess, "run", fail)
    return seen


def test_a_record_that_is_there_is_not_made_again(tmp_path, commands):
    record = tmp_path / "runs/ml-100k/loo/Pop/seed_3.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    assert other_datasets.execute(RUN, tmp_path, tmp_path / "failures", ["--decay=0.8"]) == 0
    assert not commands


def test_a_run_has_the_options_of_the_pipeline_and_a_failure_is_noted(tmp_path, commands):
    assert other_datasets.execute(RUN, tmp_path, tmp_path / "failures", ["--decay=0.8"]) == 2
    (command,) = commands
    assert {"--model=Pop", "--dataset=ml-100k", "--protocol=loo", "--seed=3", "--decay=0.8"} <= {
        *command
    }
    assert f"--results_dir={tmp_path}" in command
    failure = tmp_path / "failures/ml-100k.loo.Pop.seed_3.json"
    assert json.loads(failure.read_text()) == {"error": "run_recbole: no such thing"}


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Runs of Pop and BPR, and the two folders of results; nothing is trained."""
    monkeypatch.setattr(other_datasets, "RESULTS", tmp_path / "committed")
    monkeypatch.setattr(other_datasets, "WORK", tmp_path / "work")
    monkeypatch.setattr(other_datasets.tables, "dataset_table", lambda arguments: 0)
    results = tmp_path / "work" / "mine"
    for method, middle in (("Pop", 30), ("BPR", 20)):
        add_run(results, method, ranks_around(middle), seed=0)
    return results, tmp_path / "committed" / "mine"


def tables(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in other_datasets.TABLES}


def test_another_checkout_continues_from_the_committed_files(folders, capsys):
    """A third method there: Table I is what it would be here, though the lists are gone."""
    results, out = folders
    assert other_datasets.main(["mine", "--methods", "Pop", "BPR"]) == 0
    users = read_users(out / "users/ml-100k/loo/Pop/seed_0.parquet", ["user"], ["top_100"])
    assert [*users] == ["user"]
    assert (out / "comparisons.csv").read_text() == (results / "comparisons.csv").read_text()
    add_run(results, "SASRec", ranks_around(5), seed=0)
    assert other_datasets.main(["mine", "--methods", "SASRec"]) == 0
    pop = out / "users/ml-100k/loo/Pop/seed_0.parquet"
    read_users(pop, RANKED).to_parquet(pop, compression="gzip")  # as other versions write it
    here, added = tables(out), results.parent / "added"
    shutil.copytree(out, added / "committed")
    shutil.rmtree(results)
    for kind, ending in (("runs", "json"), ("users", "parquet")):  # as before SASRec ran
        (out / kind / f"ml-100k/loo/SASRec/seed_0.{ending}").unlink()
    add_run(results, "SASRec", ranks_around(5), seed=0)
    assert other_datasets.main(["mine", "--methods", "SASRec"]) == 0
    there = tables(out)
    assert there["table_1.md"] == here["table_1.md"]
    assert "SASRec | – | – | **" in there["table_1.md"]
    before = [*(added / "committed").rglob("*.parquet"), *(added / "committed").rglob("*.json")]
    assert len(before) == 6
    for path in before:
        assert (out / path.relative_to(added / "committed")).read_bytes() == path.read_bytes()


def test_a_run_here_is_not_replaced_by_the_committed_one(folders):
    results, out = folders
    assert other_datasets.main(["mine", "--methods", "Pop", "BPR"]) == 0
    record = add_run(results, "BPR", ranks_around(10), seed=0)
    assert committed_results.restore(out, results) == set()
    assert record.read_text() != (out / "runs/ml-100k/loo/BPR/seed_0.json").read_text()
    committed_results.save(results, out)
    assert record.read_text() == (out / "runs/ml-100k/loo/BPR/seed_0.json").read_text()


def test_tables_stay_where_a_users_file_is_broken(folders, capsys):
    results, out = folders
    assert other_datasets.main(["mine", "--methods", "Pop", "BPR"]) == 0
    before = tables(out)
    (results / "users/ml-100k/loo/Pop/seed_0.parquet").write_bytes(b"PAR1")
    assert other_datasets.main(["mine", "--methods", "Pop"]) == 1
    assert "not a whole Parquet file" in capsys.readouterr().err
    assert tables(out) == before


def test_a_table_that_would_lose_rows_is_not_made(folders, commands, capsys):
    results, out = folders
    assert other_datasets.main(["mine", "--methods", "Pop", "BPR"]) == 0
    before = tables(out)
    shutil.rmtree(results)
    shutil.rmtree(out / "users/ml-100k/loo/BPR")
    assert other_datasets.main(["mine", "--methods", "Pop"]) == 2
    assert "would lose ml-100k/loo/BPR/seed_0; run" in capsys.readouterr().err
    assert not commands
    assert tables(out) == before
    assert other_datasets.main(["mine", "--methods", "BPR"]) == 1  # it is run again, and fails
    assert len(commands) == 1


def test_option_files_follow_that_of_the_scale() -> None:
    given = ["config_files=a.yaml,b.yaml", "decay=0.8"]
    assert other_datasets.option_words("smoke", given) == [
        "--config_files=properties/scale/smoke.yaml,a.yaml,b.yaml",
        "--decay=0.8",
    ]
