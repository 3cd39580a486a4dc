"""Numbers among the options of `llm4rec`: one that means nothing is refused, not replaced."""

from __future__ import annotations

import pytest

from llm4rec_recbole.cli.run import llm4rec

TUNE = ["tune", "--model=BPR"]


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        ([*TUNE, "--minutes=nan"], "--minutes: nan is not a number above 0"),
        ([*TUNE, "--minutes=0"], "--minutes: 0 is not a number above 0"),
        ([*TUNE, "--trials=0"], "--trials: 0 is not a whole number, 1 or more"),
        ([*TUNE, "--trials=1.5"], "--trials: 1.5 is not a whole number, 1 or more"),
        ([*TUNE, f"--trials={'9' * 5000}"], "is not a whole number, 1 or more"),
    ],
)
def test_a_number_without_meaning_is_refused(argv, line, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    assert llm4rec(argv) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert line in error
    assert len(error) < 300
