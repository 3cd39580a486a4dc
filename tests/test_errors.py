"""A refusal is one line of a bounded length that a terminal can print."""

from __future__ import annotations

import pytest

from llm4rec_recbole.cli.run import llm4rec, run_recbole
from llm4rec_recbole.errors import InputError

WORDS = ["a" * 100_000, "one\ntwo\r\nthree", "\x00\x1b[31m\u202e", "\udce9"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("main", [run_recbole, llm4rec])
def test_any_word_is_refused_in_one_short_line(main, word, capsys) -> None:
    assert main([word]) == 2
    line = capsys.readouterr().err
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert len(line) < 700


def test_the_end_of_a_long_message_stays() -> None:
    error = InputError("x" * 10_000, file="a.inter", line=7, hint="do this")
    assert str(error).startswith("a.inter:7: xxx")
    assert str(error).endswith("x (do this)")


@pytest.mark.parametrize("option", ["--method=[[1]]", "--encoding=\udce9", "--encoding=\0"])
def test_values_that_no_name_has_are_refused(option, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_recbole(["--model=Pop", "--dataset=ml-100k", option]) == 2
    name = option[2:].partition("=")[0]
    assert capsys.readouterr().err.startswith(f"run_recbole: {name} is ")
