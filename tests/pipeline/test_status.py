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

from llm4rec_recbole.cli.run import llm4rec
from llm4rec_recbole.evaluation.paths import Run, run_stages
from llm4rec_recbole.pipeline import status
from tests.helpers.checkout import PARAMS

POP, BPR, SASREC = (Run("ml-100k", "loo", method, 0) for method in ("Pop", "BPR", "SASRec"))


@pytest.fixture(autouse=True)
def checkout_without_dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS))
    Path("code.py").write_text("1")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def finish(stage: str, run: Run, train_seconds: float) -> None:
    """What a finished stage leaves: its files, and its entry in dvc.lock."""
    write(run.record(), json.dumps({"cost": {"train_seconds": train_seconds}}))
    write(run.users(), "users")
    entries = {
        kind: [
            {
                "path": str(path),
                "md5": hashlib.md5(path.read_bytes()).hexdigest(),
                "size": path.stat().st_size,
            }
            for path in paths
        ]
        for kind, paths in (("deps", [Path("code.py")]), ("outs", [run.record(), run.users()]))
    }
    lock = yaml.safe_load(status.LOCK.read_text()) if status.LOCK.exists() else {"stages": {}}
    lock["stages"][stage] = {"params": {"params.yaml": {"scale": "smoke"}}, **entries}
    status.LOCK.write_text(yaml.safe_dump(lock))


def kinds() -> dict[str, str]:
    return {s.run.method: s.kind for s in status.read()}


def test_all_wait_in_a_fresh_clone() -> None:
    assert kinds() == {"Pop": "waiting", "BPR": "waiting", "SASRec": "waiting"}
    assert status.report(status.read()).startswith("0 of 3 runs done; 3 runs never timed\n")


def test_committed_record_alone_is_not_done_but_gives_the_estimate() -> None:
    write(BPR.record(), json.dumps({"cost": {"train_seconds": 240.0}}))
    assert kinds()["BPR"] == "waiting"
    assert "about 4 min left, and 2 runs never timed" in status.report(status.read())


def test_done_until_code_record_users_or_scale_change() -> None:
    finish("train_baseline@ml-100k-loo-BPR-0", BPR, 9.0)
    assert kinds()["BPR"] == "done"
    for path, text in ((Path("code.py"), "2"), (BPR.record(), "{}"), (BPR.users(), "longer")):
        before = path.read_text()
        path.write_text(text)
        assert kinds()["BPR"] == "waiting", path
        path.write_text(before)
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS | {"scale": "paper"}))
    assert kinds()["BPR"] == "waiting"


def test_failed_shows_its_error_until_it_is_done() -> None:
    write(BPR.failure, json.dumps({"error": "no memory"}))
    assert "  failed   ml-100k loo BPR seed 0: no memory" in status.report(status.read())
    finish("train_baseline@ml-100k-loo-BPR-0", BPR, 9.0)
    assert kinds()["BPR"] == "done"


def test_running_is_who_holds_the_lock_and_eta_counts_what_is_left_of_it() -> None:
    write(SASREC.state, json.dumps({"started": time.time() - 40, "seconds": 100.0}))
    write(POP.state, json.dumps({"started": time.time() - 900, "seconds": 20.0}))
    finish("train_baseline@ml-100k-loo-BPR-0", BPR, 9.0)
    with open(SASREC.state) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        report = status.report(status.read())
    assert report.startswith("1 of 3 runs done, 1 running; about 80 s left\n")
    assert "  running  ml-100k loo SASRec seed 0: 40 s of about 2 min" in report
    assert "running" not in status.report(status.read())


def test_several_running_share_the_time_left() -> None:
    for run in (POP, BPR, SASREC):
        write(run.state, json.dumps({"started": time.time(), "seconds": 40.0}))
    with open(POP.state) as first, open(BPR.state) as second:
        fcntl.flock(first, fcntl.LOCK_EX)
        fcntl.flock(second, fcntl.LOCK_EX)
        assert status.remaining(status.read()) == "about 60 s left"


def test_expected_seconds_are_the_other_seeds_mean() -> None:
    seeds = [Run("ml-100k", "loo", "BPR", seed) for seed in range(3)]
    write(seeds[0].state, json.dumps({"seconds": 10.0}))
    write(seeds[1].record(), json.dumps({"cost": {"train_seconds": 30.0}}))
    assert status.estimate_seconds([*seeds, SASREC]) == {
        seeds[0]: 10.0,
        seeds[1]: 30.0,
        seeds[2]: 20.0,
    }


@pytest.mark.parametrize(
    "text",
    ['{"seconds": 1', "[5]", '{"seconds": "x"}', '{"seconds": 1%s}' % ("0" * 400), "[" * 99_999],
)
def test_damaged_state_reads_as_empty(text: str) -> None:
    write(BPR.state, text)
    assert status.read_state(BPR) == {}
    assert kinds()["BPR"] == "waiting"


@pytest.mark.parametrize("text", ["", "[5]", '{"error": 1e999}', "{}", "\x00"])
def test_damaged_failure_note_is_a_failure(text: str) -> None:
    write(BPR.failure, text)
    assert kinds()["BPR"] == "failed"
    assert status.report(status.read()).count("\n") == 3


@pytest.mark.parametrize(
    "text",
    [
        "[", "stages: 5", "stages: [a]", "5", "other: {}", "stages: {STAGE: 5}",
        "stages: {STAGE: {outs: [{path: 5}]}}", "stages: {STAGE: {outs: 5}}",
        "stages: {STAGE: {params: 5}}",
    ],
)  # fmt: skip
def test_damaged_lock_is_one_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    status.LOCK.write_text(text.replace("STAGE", "train_baseline@ml-100k-loo-BPR-0"))
    assert llm4rec(["status"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("llm4rec status: dvc.lock")
    assert message.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "datasets: [a]\nprotocols: [b]\nseeds: [0]",
            "methods.deterministic is missing",
        ),
        ("datasets: [a", "did not find expected"),
        (None, "no params.yaml here"),
        ("datasets: [a]\nprotocols: [b]\nseeds: [x]", "seeds is missing, or is no list of whole"),
        ("datasets: 2024-99-99", "params.yaml:1: this is no value: month must be in 1..12"),
        ("[[[", "params.yaml:"),
        ("- a", "must hold `option: value` lines"),
        ("\xff".encode("latin-1"), "this is not UTF-8 text"),
        ("[" * 100_000, "params.yaml:1: it is nested too deeply"),
    ],
)
def test_bad_params_are_one_line(
    text: str | bytes | None, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("params.yaml").unlink()
    if text is not None:
        Path("params.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert llm4rec(["status"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("llm4rec status: ")
    assert error in message
    assert message.count("\n") == 1


def test_status_imports_nothing_heavy() -> None:
    code = (
        "import sys; from llm4rec_recbole.pipeline import status; status.read();"
        "print({'torch', 'dvc', 'pandas', 'numpy', 'recbole'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"


def test_a_runs_files_hold_every_part_of_its_name() -> None:
    assert str(SASREC.record()) == "results/runs/ml-100k/loo/SASRec/seed_0.json"
    assert str(SASREC.users()) == "results/users/ml-100k/loo/SASRec/seed_0.parquet"
    assert str(SASREC.failure) == "work/failures/ml-100k.loo.SASRec.seed_0.json"
    assert run_stages(PARAMS)["train_baseline@ml-100k-loo-SASRec-0"] == SASREC
