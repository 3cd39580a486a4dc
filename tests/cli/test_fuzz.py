"""The fuzz campaign: random command lines, and every file that a command reads, damaged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns import fuzz
from tests.campaigns.forked import Outcome, run_in
from tests.campaigns.inputs import Edit, edited


@pytest.mark.slow
def test_two_thousand_inputs_are_refused_in_one_line_or_done() -> None:
    command = [sys.executable, "-m", "tests.campaigns.fuzz", "--inputs", "2000", "--seed", "0"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "| all | 2000 | 2000 |" in result.stdout


def test_what_the_campaign_calls_a_defect(tmp_path: Path) -> None:
    line = "run_recbole: epochs is many\n"
    assert Outcome(2, line).defect == fuzz.refusal(Outcome(2, f"a log\n{line}")) == ""
    assert Outcome(70, line).defect
    assert Outcome(0, "Traceback (most recent call last):\n").defect
    for stderr in ("", line + line, line + "more\n", line[:-1] + "x" * 1000):
        assert fuzz.refusal(Outcome(2, stderr))
    record = tmp_path / "results" / "seed_0.json"
    record.parent.mkdir()
    record.write_text('{"a": 1}')
    before = fuzz.earlier_files(tmp_path)
    assert fuzz.lost_file(before) == ""
    for content in ('{"a": ', ""):
        record.write_text(content)
        assert fuzz.lost_file(before)
    record.unlink()
    assert fuzz.lost_file(before) == "seed_0.json is lost"


@pytest.mark.parametrize("kind", ["run_recbole", "llm4rec", "events"])
def test_one_seed_draws_the_same_inputs(kind: str) -> None:
    def drawn(seed: str) -> list[Any]:
        inputs: list[Any] = []
        fuzz.draw_inputs(kind, 40, seed, inputs.append)
        return inputs

    assert drawn("0") == drawn("0") != drawn("1")
    assert len(drawn("0")) == 40
    if kind == "run_recbole":
        assert sum("--dataset=shop" in line for line in drawn("0")) > 30


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("delete", b"a\t\nc\t2\n"),
        ("repeat", b"a\t11\nc\t2\n"),
        ("replace", b"a\tnew\nc\t2\n"),
        ("insert", b"a\tnew1\nc\t2\n"),
        ("cut", b"a\t"),
        ("field", b"a\tnew\nc\t2\n"),
        ("other field", b"a\tc\nc\t2\n"),
        ("repeat line", b"a\t1\na\t1\nc\t2\n"),
        ("delete line", b"c\t2\n"),
        ("flip", b"a\t3\nc\t2\n"),
    ],
)
def test_what_an_edit_does(kind: str, expected: bytes) -> None:
    assert edited(b"a\t1\nc\t2\n", [Edit(kind, 2, 1, b"new", 4)]) == expected


def test_a_forked_command_prints_to_the_pipe_that_is_read(tmp_path: Path) -> None:
    """Pytest's own sys.stderr writes to another file than the descriptor 2."""

    def command() -> int:
        print("a line", file=sys.stderr)
        return 2

    assert run_in(tmp_path, command) == Outcome(2, "a line\n")
