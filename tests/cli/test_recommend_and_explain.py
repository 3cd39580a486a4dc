"""`llm4rec recommend` and `explain`, from the command line to the evidence they print."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from llm4rec_recbole import checkpoints
from llm4rec_recbole.analysis.faithfulness import measure, shortened
from llm4rec_recbole.cli.run import llm4rec
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.inference import recommend
from llm4rec_recbole.inference.restore import newest_checkpoint, restore
from llm4rec_recbole.training import experiment, run

pytestmark = pytest.mark.usefixtures("own_folder", "only_read_options")


class Praises:
    """A writer who praises, or names what is in no evidence."""

    name = "praises"

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def write(self, prompt: str, opening: str) -> str:
        return self.answer


@pytest.fixture
def data_options(trained_options: dict) -> list[str]:
    folder = trained_options["checkpoint_dir"]
    return ["--dataset", "two_cycles", "--checkpoint_dir", folder, "--language_model", "none"]


def printed(capsys: pytest.CaptureFixture, *argv: str) -> str:
    assert llm4rec(argv) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture, *argv: str) -> str:
    assert llm4rec(argv) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("model", ["EASE", "BPR", "SASRec"])
def test_recommend_prints_k_items(model, data_options, capsys) -> None:
    out = printed(capsys, "recommend", "--user", "u1", "-k", "4", "--model", model, *data_options)
    head, _, *items = out.splitlines()
    assert head.startswith(f"{model} on two_cycles (loo, seed 0), ")
    assert [line.split()[0] for line in items] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("model", ["EASE", "BPR", "SASRec"])
def test_explain_prints_a_sentence_the_rank_and_the_evidence(model, data_options, capsys) -> None:
    out = printed(
        capsys, "explain", "--user", "u1", "--item", "i13", "--model", model, *data_options
    )
    assert "user u1, item i13: rank " in out
    for label in ("written by  template", "template ", "taste       Blue", "moment"):
        assert label in out
    assert '"Ring GG"' in out.splitlines()[3]


def test_recommend_explains_each_item(data_options, capsys) -> None:
    out = printed(
        capsys,
        "recommend",
        "--user",
        "u1",
        "-k",
        "3",
        "--explain",
        "--model",
        "EASE",
        *data_options,
    )
    assert out.count("written by  template") == 3


def test_a_seen_item_is_reported_as_seen(data_options, trained_options, capsys) -> None:
    model = restore(newest_checkpoint(trained_options["checkpoint_dir"], "EASE", "two_cycles"))
    seen = model.item_tokens[model.user_history("u1").items[0]]
    assert "(which the user has seen)" in printed(
        capsys, "explain", "--user", "u1", "--item", seen, "--model", "EASE", *data_options
    )


def test_what_the_language_model_writes_is_shown_only_where_it_passes(
    data_options, capsys, monkeypatch
) -> None:
    arguments = ["explain", "--user", "u1", "--item", "i13", "--model", "BPR", *data_options]
    similar = re.search(r'similar +("Ring \w+")', printed(capsys, *arguments))
    assert similar is not None
    more = f"fits your taste for blue and is like {similar[1]}."
    for answer, writer, problem in (
        (more, "praises", ""),
        ("is a good choice.", "template", "it gives no further reason"),
        (f"{more} It is unique.", "template", "'unique' claims what the evidence does not show"),
        ("is as good as Ring T here.", "template", "'ring t' is a title"),
    ):
        monkeypatch.setattr(recommend, "load_writer", lambda name, answer=answer: Praises(answer))
        out = printed(capsys, *arguments)
        assert f"written by  {writer}" in out
        assert answer in out
        assert problem in out


def test_an_item_without_evidence_gets_a_sentence_that_says_so(data_options, capsys) -> None:
    """u1 walks along the odd, blue ring: item i4 is of the other."""
    out = printed(
        capsys, "explain", "--user", "u1", "--item", "i4", "--model", "EASE", *data_options
    )
    assert "the data give no reason" in out
    assert "template    none" in out


def test_a_history_of_one_item_is_explained(data_options, capsys) -> None:
    out = printed(
        capsys, "explain", "--user", "lonely", "--item", "i3", "--model", "EASE", *data_options
    )
    assert out.splitlines()[1] == out.splitlines()[1].strip()
    assert '"Ring AA"' in out  # i1, the only item of the history


def test_an_item_without_title_is_named_by_its_id(data_options, capsys) -> None:
    out = printed(
        capsys, "explain", "--user", "u1", "--item", "i39", "--model", "EASE", *data_options
    )
    assert out.splitlines()[3].startswith("item i39 ")


def test_a_data_set_without_items_file_is_explained_all_the_same(
    trained_options, two_cycles, tmp_path, capsys
) -> None:
    place = str(tmp_path / "bare")
    run.run(
        "EASE",
        "two_cycles",
        options=trained_options | {"data_path": str(two_cycles), "checkpoint_dir": place},
    )
    options = ["--model", "EASE", "--dataset", "two_cycles", "--checkpoint_dir", place]
    out = printed(
        capsys, "explain", "--user", "u1", "--item", "i13", *options, "--language_model", "none"
    )
    assert "item i13" in out
    assert "taste" not in out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["recommend", "--user", "nobody"],
            "no user 'nobody' in two_cycles (expected one of its 61",
        ),
        (["explain", "--user", "nobody", "--item", "i13"], "no user 'nobody'"),
        (
            ["explain", "--user", "u1", "--item", "nothing"],
            "no item 'nothing' in two_cycles (expected",
        ),
        (["recommend", "--user", "u1", "-k", "0"], "-k is 0 (1 to 100)"),
        (["recommend", "--user", "u1", "--checkpoint", "gone"], "gone: no such file"),
    ],
)
def test_bad_input_is_one_line(arguments, line, data_options, capsys) -> None:
    assert line in refused(capsys, *arguments, "--model", "EASE", *data_options)


def test_an_unknown_user_or_item_is_refused_before_the_model_is_built(
    data_options, capsys, monkeypatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the model is built")

    monkeypatch.setattr(experiment, "build_model", never)
    model = ["--model", "EASE", *data_options]
    assert "no user 'nobody'" in refused(capsys, "recommend", "--user", "nobody", *model)
    given = ["--user", "u1", "--item", "nothing"]
    assert "no item 'nothing'" in refused(capsys, "explain", *given, *model)
    assert llm4rec(["recommend", "--user", "u1", *model]) == 70  # a defect, as `never` raises it
    assert "the model is built" in capsys.readouterr().err


def test_a_checkpoint_of_a_run_without_record_is_reported(
    trained_options, tmp_path, capsys
) -> None:
    finished = newest_checkpoint(trained_options["checkpoint_dir"], "EASE", "two_cycles")
    killed = tmp_path / finished.name
    checkpoints.save(killed, checkpoints.load(finished))
    given = ["recommend", "--user", "u1", "--dataset", "two_cycles", "--model", "EASE"]
    for choice in (["--checkpoint", str(killed)], ["--checkpoint_dir", str(tmp_path)]):
        assert llm4rec([*given, *choice]) == 0
        err = capsys.readouterr().err
        assert err == f"{killed}: its run has written no record; it may be half trained\n"
    assert llm4rec([*given, "--checkpoint", str(finished)]) == 0
    assert capsys.readouterr().err == ""


def test_an_untrained_model_is_refused_with_the_training_command(data_options, capsys) -> None:
    err = refused(capsys, "recommend", "--user", "u1", "--model", "GRU4Rec", *data_options)
    assert "make one: run_recbole --model=GRU4Rec --dataset=two_cycles" in err


def test_the_python_of_the_page_prints_titles_and_reasons(trained_options, tmp_path, capsys):
    page = Path(__file__).parents[2] / "docs" / "using_a_model.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for written, here in (
        ("work/checkpoints", trained_options["checkpoint_dir"]),
        ("SASRec", "EASE"),
        ("ml-100k", "two_cycles"),
        ('"196"', '"u1"'),
    ):
        assert written in code
        code = code.replace(written, str(here))
    (tmp_path / "page.py").write_text(code)
    runpy.run_path(str(tmp_path / "page.py"))
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all(line.endswith(".") for line in lines)


def test_the_checkpoints_that_there_are_instead_are_named(trained_options, data_options) -> None:
    folder = trained_options["checkpoint_dir"]
    with pytest.raises(InputError, match=r"no checkpoint of GRU4Rec .*; there are .*EASE.*; make"):
        newest_checkpoint(folder, "GRU4Rec", "two_cycles")


@pytest.mark.parametrize("command", ["recommend", "explain", "showcase", "faithfulness"])
def test_help_is_light(command: str, tmp_path: Path) -> None:
    code = f"""
import sys
from llm4rec_recbole.cli.run import llm4rec
try:
    llm4rec([{command!r}, "--help"])
except SystemExit as end:
    assert not end.code
assert not {{"torch", "recbole", "pandas"}} & set(sys.modules), "heavy"
"""
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "--checkpoint_dir" in out.stdout


def test_faithfulness_is_measured_and_written(data_options, capsys) -> None:
    out = printed(capsys, "faithfulness", "--model", "EASE", *data_options[:4])
    assert "users: the score falls by" in out
    assert "without as many popular others" in out
    assert Path("work/faithfulness/two_cycles/loo/EASE/seed_0.json").is_file()


def test_a_model_that_ignores_histories_has_no_faithfulness(trained_options) -> None:
    found = measure(
        restore(newest_checkpoint(trained_options["checkpoint_dir"], "BPR", "two_cycles"))
    )
    assert (found.difference, found.low, found.high, found.p_t) == (0, 0, 0, 1)


def test_a_shortened_history_keeps_order_and_times(trained_options) -> None:
    test = restore(newest_checkpoint(trained_options["checkpoint_dir"], "EASE", "two_cycles")).test
    span = slice(test.indptr[4], test.indptr[5])
    items = test.items[span][[5, 1]]
    short = shortened(test, np.array([4, 0]), [items, test.items[: test.indptr[1]]])
    assert short.items[: short.indptr[1]].tolist() == items[::-1].tolist()
    assert short.times[:2].tolist() == test.times[span][[1, 5]].tolist()
    assert short.users.tolist() == test.users[[4, 0]].tolist()
