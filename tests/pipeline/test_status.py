"""k of N, failures and the time left, from files alone."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from scratch import PARAMS

from llm4rec_recbole.evaluation import paths as cells
from llm4rec_recbole.evaluation.paths import Cell
from llm4rec_recbole.pipeline import cell_state, status
from llm4rec_recbole.pipeline import status as dvc_lock
from llm4rec_recbole.pipeline import status as seconds

POP, BPR, SASREC = (Cell("ml-100k", "loo", method, 0) for method in ("Pop", "BPR", "SASRec"))


@pytest.fixture(autouse=True)
def checkout_without_dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS))
    Path("code.py").write_text("1")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def finish(stage: str, cell: Cell, train_seconds: float) -> None:
    """What a finished stage leaves: its files, and its entry in dvc.lock."""
    write(cell.record, json.dumps({"cost": {"train_seconds": train_seconds}}))
    write(cell.users, "users")
    entries = {
        kind: [
            {
                "path": str(path),
                "md5": hashlib.md5(path.read_bytes()).hexdigest(),
                "size": path.stat().st_size,
            }
            for path in paths
        ]
        for kind, paths in (("deps", [Path("code.py")]), ("outs", [cell.record, cell.users]))
    }
    lock = yaml.safe_load(dvc_lock.LOCK.read_text()) if dvc_lock.LOCK.exists() else {"stages": {}}
    lock["stages"][stage] = {"params": {"params.yaml": {"scale": "smoke"}}, **entries}
    dvc_lock.LOCK.write_text(yaml.safe_dump(lock))


def kinds() -> dict[str, str]:
    return {s.cell.method: s.kind for s in status.read()}


def test_all_wait_in_a_fresh_clone() -> None:
    assert kinds() == {"Pop": "waiting", "BPR": "waiting", "SASRec": "waiting"}
    assert status.report(status.read()).startswith("0 of 3 cells done; 3 cells never timed\n")


def test_committed_record_alone_is_not_done_but_tells_how_long_it_takes() -> None:
    write(BPR.record, json.dumps({"cost": {"train_seconds": 240.0}}))
    assert kinds()["BPR"] == "waiting"
    assert "about 4 min left, and 2 cells never timed" in status.report(status.read())


def test_done_until_code_record_users_or_scale_change() -> None:
    finish("run@ml-100k-loo-BPR-0", BPR, 9.0)
    assert kinds()["BPR"] == "done"
    for path, text in ((Path("code.py"), "2"), (BPR.record, "{}"), (BPR.users, "longer")):
        before = path.read_text()
        path.write_text(text)
        assert kinds()["BPR"] == "waiting", path
        path.write_text(before)
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS | {"scale": "paper"}))
    assert kinds()["BPR"] == "waiting"


def test_failed_shows_its_error_until_it_is_done() -> None:
    write(BPR.failure, json.dumps({"error": "no memory"}))
    assert "  failed   ml-100k loo BPR seed 0: no memory" in status.report(status.read())
    finish("run@ml-100k-loo-BPR-0", BPR, 9.0)
    assert kinds()["BPR"] == "done"


def test_running_is_who_holds_the_lock_and_eta_counts_what_is_left_of_it() -> None:
    write(SASREC.state, json.dumps({"started": time.time() - 40, "seconds": 100.0}))
    write(POP.state, json.dumps({"started": time.time() - 900, "seconds": 20.0}))
    finish("run@ml-100k-loo-BPR-0", BPR, 9.0)
    with open(SASREC.state) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        report = status.report(status.read())
    assert report.startswith("1 of 3 cells done, 1 running; about 80 s left\n")
    assert "  running  ml-100k loo SASRec seed 0: 40 s of about 2 min" in report
    assert "running" not in status.report(status.read())


def test_several_running_share_the_time_left() -> None:
    for cell in (POP, BPR, SASREC):
        write(cell.state, json.dumps({"started": time.time(), "seconds": 40.0}))
    with open(POP.state) as first, open(BPR.state) as second:
        fcntl.flock(first, fcntl.LOCK_EX)
        fcntl.flock(second, fcntl.LOCK_EX)
        assert status.remaining(status.read()) == "about 60 s left"


def test_expected_seconds_are_the_other_seeds_mean() -> None:
    seeds = [Cell("ml-100k", "loo", "BPR", seed) for seed in range(3)]
    write(seeds[0].state, json.dumps({"seconds": 10.0}))
    write(seeds[1].record, json.dumps({"cost": {"train_seconds": 30.0}}))
    assert seconds.expected([*seeds, SASREC]) == {seeds[0]: 10.0, seeds[1]: 30.0, seeds[2]: 20.0}


def test_expected_seconds_come_from_the_last_commit_once_dvc_removed_the_record() -> None:
    write(BPR.record, json.dumps({"cost": {"train_seconds": 30.0}}))
    write(POP.record, "")
    for command in ("init -q", "add .", "-c user.name=x -c user.email=x commit -qm x"):
        subprocess.run(["git", *command.split()], check=True)
    BPR.record.unlink()
    POP.record.unlink()
    assert seconds.expected([SASREC, POP, BPR]) == {BPR: 30.0}


def test_torn_state_is_no_state() -> None:
    write(BPR.state, '{"seconds": 1')
    assert cell_state.read(BPR) == {}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("datasets: [a]\nseeds: [0]", "'methods' is missing or no list"),
        ("datasets: [a", "not YAML"),
        (None, "no params.yaml here"),
    ],
)
def test_bad_params_are_one_line(
    text: str | None, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("params.yaml").unlink()
    if text is not None:
        Path("params.yaml").write_text(text)
    assert status.main([]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert error in said
    assert said.count("\n") == 1


def test_status_imports_nothing_heavy() -> None:
    code = (
        "import sys; from llm4rec_recbole.pipeline import status; status.read();"
        "print({'torch', 'dvc', 'pandas', 'numpy', 'recbole'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"


def test_cell_files_hold_every_part_of_its_name() -> None:
    assert str(SASREC.record) == "results/runs/ml-100k/loo/SASRec/seed_0.json"
    assert str(SASREC.users) == "results/users/ml-100k/loo/SASRec/seed_0.parquet"
    assert str(SASREC.failure) == "work/failures/ml-100k.loo.SASRec.seed_0.json"
    assert cells.stages(PARAMS)["run@ml-100k-loo-SASRec-0"] == SASREC
