"""Option files and option values: bounded, safe, and refused with the line."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from llm4rec_recbole.cli.run import parse, run_recbole
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.yaml_files import parse_value, read_yaml

pytestmark = pytest.mark.usefixtures("own_folder")

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi")
)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("seed: 1\nx: 2024-99-99\n", 2, "this is no value"),
        ("seed: 1\nx: 0b\n? [a]\n: 3\n", 3, "the key ['a'] is no text"),
        ("seed: 1\n2024: 3\n", 2, "the key 2024 is no text"),
        ("seed: 1\nx: !!python/object:os.system 3\n", 2, ""),
        ("seed: 1\nx: !!int many\n", 2, "this is no value"),
        ("seed: 1\n\nseed: 2\n", 3, "seed is given twice (first in line 1)"),
        ("x:\n  y: 1\n  z:\n  - y: 1\n    y: 2\n", 5, "y is given twice (first in line 4)"),
        ("a: &a [*a]\n", 1, "an alias contains itself"),
        (BOMB, 1, "its aliases expand to more than 100,000 values"),
        ("x: " + "[" * 5000 + "]" * 5000, 1, "nested too deeply"),
        ("- 1\n- 2\n", 1, "it must hold `option: value` lines"),
        ("topk: [1, 2\nseed: 3\n", 2, ""),
    ],
)
def test_a_file_that_is_no_list_of_options_is_refused_with_its_line(text, line, message):
    Path("bad.yaml").write_text(text)
    started = time.perf_counter()
    with pytest.raises(InputError) as caught:
        read_yaml("bad.yaml")
    assert time.perf_counter() - started < 5
    assert str(caught.value).startswith("bad.yaml:" if line is None else f"bad.yaml:{line}: ")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_large_file_and_a_missing_one_are_refused():
    Path("large.yaml").write_text("# " + "x" * (1 << 22))
    with pytest.raises(InputError, match="at most 4194304 bytes"):
        read_yaml("large.yaml")
    with pytest.raises(InputError, match="cannot read it"):
        read_yaml("gone.yaml")


def test_an_option_of_a_file_knows_its_line():
    Path("good.yaml").write_text("# a comment\nseed: 1\n\ntopk: [5,\n  10]\nresults_dir: 2024\n")
    content = read_yaml("good.yaml")
    assert content.values == {"seed": 1, "topk": [5, 10], "results_dir": "2024"}
    assert content.lines == {"seed": 2, "topk": 4, "results_dir": 6}
    for empty in ("", "~", "# nothing\n"):
        Path("empty.yaml").write_text(empty)
        assert read_yaml("empty.yaml").values == {}


@pytest.mark.parametrize("text", ["2024", "yes", "~", "my #1 results", "a\nb", "2024-01-01", "[x]"])
def test_a_path_is_the_text_that_was_typed(text):
    for name in ("results_dir", "data_path", "checkpoint_dir", "pre_model_path", "llm", "t5"):
        assert parse([f"--{name}={text}"]) == {name: text}


@pytest.mark.parametrize("text", ["2024-99-99", "!!int many", "[" * 3000, "{a: b: c}", "!x y"])
def test_a_value_that_yaml_cannot_construct_is_text(text):
    assert parse_value(text) == text


def test_a_bomb_on_the_command_line_is_refused(capsys):
    value = "{" + BOMB.strip().replace("\n", ", ") + "}"
    assert run_recbole(["--model=EASE", f"--load_col={value}"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "its aliases expand to more than" in err


def test_a_wrong_value_in_a_file_is_refused_with_its_line(capsys):
    Path("bad.yaml").write_text("# mine\nreg_weight: much\n")
    assert run_recbole(["--model=EASE", "--config_files=bad.yaml"]) == 2
    assert "bad.yaml:2: reg_weight is much (a number in [0, inf))" in capsys.readouterr().err
    Path("bad.yaml").write_text("# mine\n\nlearning_rate: .1\n")
    assert run_recbole(["--model=EASE", "--config_files=bad.yaml"]) == 2
    assert "bad.yaml:3: EASE does not read learning_rate" in capsys.readouterr().err
