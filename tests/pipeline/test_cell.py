"""One cell on its own: its exit code, its failure note, its lock."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from scratch import Checkout, wait_until

from llm4rec_recbole.evaluation.paths import Cell
from llm4rec_recbole.pipeline.run_cell import _last_line

RUN = ["python", "stub.py", "run_recbole"]
BPR = Cell("ml-100k", "loo", "BPR", 0)
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
    return [sys.executable, "-m", "llm4rec_recbole.pipeline.run_cell", *words, *OPTIONS]


def test_success_removes_the_failure_note_and_keeps_the_seconds(checkout: Checkout) -> None:
    failure = checkout.folder / BPR.failure
    failure.parent.mkdir(parents=True)
    failure.write_text('{"error": "old"}')
    output = checkout.run(*command(*RUN))
    assert output.startswith("[1/3] ml-100k loo BPR seed 0: never timed; all cells: ")
    assert not failure.exists()
    state = json.loads((checkout.folder / BPR.state).read_text())
    assert 0 <= state["seconds"] < 60
    assert state["expected"] is None
    assert "never timed; all" not in checkout.run(*command(*RUN))


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["sh", "-c", "echo first >&2; echo 'error: why' >&2; exit 2"], 2, "why"),
        (["sh", "-c", "exit 3"], 3, "exit code 3"),
        (["sh", "-c", "kill -9 $$"], 137, "killed by SIGKILL"),
        (["true"], 1, f"it ended well but left no {BPR.record}"),
        (["no-such-command"], 127, "no-such-command: No such file or directory"),
    ],
)
def test_failure_leaves_its_last_line(
    checkout: Checkout, words: list[str], code: int, error: str
) -> None:
    checkout.run(*command(*words), code=code)
    assert error_of(checkout) == error


def test_stopped_cell_has_not_failed_and_stops_its_run(checkout: Checkout) -> None:
    checkout.tell("hold_BPR")
    cell = checkout.start(*command(*RUN))
    wait_until(lambda: checkout.ran() == ["BPR"])
    os.kill(cell.pid, signal.SIGTERM)
    assert cell.wait(timeout=30) == 128 + signal.SIGTERM
    assert not (checkout.folder / BPR.failure).exists()
    assert "running" not in checkout.module("status")


def test_a_run_that_ctrl_c_stopped_has_not_failed(checkout: Checkout) -> None:
    checkout.run(*command("sh", "-c", "echo stopped >&2; exit 130"), code=130)
    assert not (checkout.folder / BPR.failure).exists()


def test_orphan_of_other_code_is_waited_for_and_the_cell_run_again(checkout: Checkout) -> None:
    hold = checkout.tell("hold_BPR")
    first = checkout.start(*command(*RUN))
    wait_until(lambda: checkout.ran() == ["BPR"])
    overall = checkout.folder / "properties" / "overall.yaml"
    overall.write_text(overall.read_text() + "# another version\n")
    second = checkout.start(*command(*RUN))
    checkout.read_until(second, "waiting for it")
    hold.unlink()
    assert first.wait(timeout=30) == second.wait(timeout=30) == 0
    assert checkout.ran() == ["BPR", "BPR"]


def test_lock_is_held_for_as_long_as_the_run_lives_though_its_cell_was_killed(
    checkout: Checkout,
) -> None:
    hold = checkout.tell("hold_BPR")
    cell = checkout.start(*command(*RUN))
    wait_until(lambda: checkout.ran() == ["BPR"])
    os.kill(cell.pid, signal.SIGKILL)
    cell.wait()
    assert "1 running" in checkout.module("status")
    hold.unlink()
    wait_until(lambda: "running" not in checkout.module("status"))


def test_a_cell_that_should_leave_a_checkpoint_and_does_not_has_failed(checkout: Checkout) -> None:
    folder = checkout.folder / "checkpoints"
    asked = [*command(*RUN), f"--checkpoint_dir={folder}"]
    checkout.run(*asked)
    for path in folder.iterdir():
        path.rename(folder / "no-checkpoint")
    checkout.run(*command("true"), f"--checkpoint_dir={folder}", code=1)
    assert error_of(checkout) == f"it ended well but left no {folder}"


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


def test_results_elsewhere_are_not_the_pipelines(checkout: Checkout) -> None:
    elsewhere = [*command("true")[:-1], f"--results_dir={Path('work')}"]
    assert "results lie in results, not work" in checkout.run(*elsewhere, code=1)
