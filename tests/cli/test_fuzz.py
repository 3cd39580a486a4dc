"""The fuzz campaign: random command lines, and every file that a command reads, damaged."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaigns import fuzz
from tests.campaigns.forked import Outcome


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


def test_random_command_lines_are_the_same_for_one_seed() -> None:
    lines = [fuzz.random_arguments(random.Random(f"0 {number}")) for number in range(40)]
    assert lines == [fuzz.random_arguments(random.Random(f"0 {number}")) for number in range(40)]
    assert sum("--dataset=shop" in line for line in lines) > 30
