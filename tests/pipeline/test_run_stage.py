"""One run as a stage: its exit status, its failure note, its lock."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest

from llm4rec_recbole.evaluation.paths import Run
from llm4rec_recbole.pipeline.checkpoint import finish_checkpoint
from llm4rec_recbole.pipeline.run_stage import _last_line
from tests.helpers.checkout import Checkout, wait_until

RUN = ["python", "fake_commands.py", "run"]
BPR = Run("ml-100k", "loo", "BPR", 0)
OPTIONS = [
    "--model=BPR",
    "--dataset=ml-100k",
    "--protocol=loo",
    "--seed=0",
    "--results_dir=results",
]


def error_of(checkout: Checkout) -> str:
    return json.loads((checkout.folder / BPR.failure).read_text())["error"]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "llm4rec_recbole.pipeline.run_stage", *words, *OPTIONS]


def test_success_removes_the_failure_note_and_keeps_the_seconds(checkout: Checkout) -> None:
    failure = checkout.folder / BPR.failure
    failure.parent.mkdir(parents=True)
    failure.write_text('{"error": "old"}')
    output = checkout.run(*command(*RUN))
    assert output.startswith("ml-100k loo BPR seed 0: never timed\n")
    assert not failure.exists()
    state = json.loads((checkout.folder / BPR.state).read_text())
    assert 0 <= state["seconds"] < 60
    assert "never timed" not in checkout.run(*command(*RUN))


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["sh", "-c", "echo first >&2; echo 'error: why' >&2; exit 2"], 2, "why"),
        (["sh", "-c", "exit 3"], 3, "exit status 3"),
        (["sh", "-c", "kill -9 $$"], 137, "killed by SIGKILL"),
        (["true"], 1, f"the command succeeded but left no {BPR.record()}"),
        (["no-such-command"], 127, "no-such-command: No such file or directory"),
    ],
)
def test_failure_leaves_its_last_line(
    checkout: Checkout, words: list[str], code: int, error: str
) -> None:
    checkout.run(*command(*words), code=code)
    assert error_of(checkout) == error


def test_the_old_record_goes_before_the_run_starts_and_gives_the_estimate(
    checkout: Checkout,
) -> None:
    for path, text in ((BPR.record(), '{"cost": {"train_seconds": 240}}'), (BPR.users(), "ranks")):
        (checkout.folder / path).parent.mkdir(parents=True)
        (checkout.folder / path).write_text(text)
    output = checkout.run(*command("sh", "-c", "ls results/runs/ml-100k/loo/BPR; exit 3"), code=3)
    assert output == "ml-100k loo BPR seed 0: about 4 min\n"
    assert not (checkout.folder / BPR.users()).exists()
    assert json.loads((checkout.folder / BPR.state).read_text())["seconds"] == 240


def test_a_stopped_stage_has_not_failed_and_stops_its_run(checkout: Checkout) -> None:
    checkout.control("hold_BPR")
    stage = checkout.start(*command(*RUN))
    wait_until(lambda: checkout.ran() == ["BPR"])
    os.kill(stage.pid, signal.SIGTERM)
    assert stage.wait(timeout=30) == 128 + signal.SIGTERM
    assert not (checkout.folder / BPR.failure).exists()
    assert "running" not in checkout.status()


def test_a_run_that_ctrl_c_stopped_has_not_failed(checkout: Checkout) -> None:
    checkout.run(*command("sh", "-c", "echo stopped >&2; exit 130"), code=130)
    assert not (checkout.folder / BPR.failure).exists()


def test_orphan_of_other_code_is_waited_for_and_the_run_repeated(checkout: Checkout) -> None:
    hold = checkout.control("hold_BPR")
    first = checkout.start(*command(*RUN))
    wait_until(lambda: checkout.ran() == ["BPR"])
    overall = checkout.folder / "properties" / "overall.yaml"
    overall.write_text(overall.read_text() + "# another version\n")
    second = checkout.start(*command(*RUN))
    checkout.read_until(second, "waiting for it")
    hold.unlink()
    assert first.wait(timeout=30) == second.wait(timeout=30) == 0
    assert checkout.ran() == ["BPR", "BPR"]


def test_lock_is_held_for_as_long_as_the_run_lives_though_its_stage_was_killed(
    checkout: Checkout,
) -> None:
    hold = checkout.control("hold_BPR")
    stage = checkout.start(*command(*RUN))
    wait_until(lambda: checkout.ran() == ["BPR"])
    os.kill(stage.pid, signal.SIGKILL)
    stage.wait()
    assert "1 running" in checkout.status()
    hold.unlink()
    wait_until(lambda: "running" not in checkout.status())


def test_only_the_checkpoint_of_the_last_attempt_stays(checkout: Checkout) -> None:
    for _ in range(2):
        checkout.run(*command(*RUN))
    (file,) = (checkout.folder / BPR.checkpoints).glob("*.safetensors")
    assert file.read_text() == "BPR 0"


def test_data_that_differ_from_their_summary_stop_the_run(checkout: Checkout) -> None:
    summary = checkout.folder / "results" / "data" / "ml-100k.json"
    summary.parent.mkdir()
    summary.write_text('{"sha256": {"ml-100k.inter": "0123"}}')
    output = checkout.run(*command(*RUN), code=2)
    assert "ml-100k.inter: not the file that results/data/ml-100k.json describes (dvc" in output
    assert checkout.ran() == []
    assert "not the file" in error_of(checkout)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("one\ntwo\n\n", "two"),
        ("  5%|\r 99%|\r\x1b[31merror: disk is full\x1b[0m\n", "disk is full"),
        ("", ""),
    ],
)
def test_last_line(text: str, line: str) -> None:
    assert _last_line(text) == line


def test_only_the_newest_checkpoint_and_its_adapted_weights_stay(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    BPR.checkpoints.mkdir(parents=True)
    for time, name in enumerate(("a.safetensors", "a.adapted", "b.safetensors", "b.adapted")):
        (BPR.checkpoints / name).touch()
        os.utime(BPR.checkpoints / name, (time, time))
    record = tmp_path / "record.json"
    record.touch()
    finish_checkpoint(BPR, record)
    names = {path.name for path in BPR.checkpoints.iterdir()}
    assert names >= {"b.safetensors", "b.adapted"}
    assert not names & {"a.safetensors", "a.adapted"}
