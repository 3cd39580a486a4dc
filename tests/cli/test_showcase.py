"""`llm4rec showcase`: some test users' recommendations, explained, for the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm4rec_recbole.cli.run import llm4rec
from llm4rec_recbole.inference import recommend
from llm4rec_recbole.inference.recommend import evenly_spaced
from llm4rec_recbole.inference.restore import newest_checkpoint, restore
from llm4rec_recbole.reporting.page.model_outputs import recommendations
from tests.helpers.fake_model_outputs import PLAIN

pytestmark = pytest.mark.usefixtures("own_folder")


class Praises:
    """Writes the same of every item."""

    name = "praises"

    def write(self, prompt: str, opening: str) -> str:
        return "is a good choice."


@pytest.fixture
def data_options(trained_options: dict, tmp_path: Path) -> list[str]:
    folder = trained_options["checkpoint_dir"]
    given = ["--model", "EASE", "--dataset", "two_cycles", "--language_model", "none"]
    return [*given, "--checkpoint_dir", folder, "--results_dir", str(tmp_path)]


def test_users_are_spaced_evenly() -> None:
    assert evenly_spaced(943, 3) == [0, 314, 628]
    assert evenly_spaced(10, 5) == [0, 2, 4, 6, 8]
    assert evenly_spaced(2, 6) == [0, 1]


def test_it_writes_what_recommend_and_explain_print(
    data_options, tmp_path, trained_options, capsys
):
    assert llm4rec(["showcase", "--users", "2", "-k", "3", *data_options]) == 0
    path = tmp_path / "explanations/two_cycles/loo/EASE/seed_0.json"
    out = capsys.readouterr().out
    assert f"6 recommendations, 0 explained by the language model\nwritten: {path}" in out
    shown = json.loads(path.read_text())
    assert all(set(each) == set(PLAIN) for each in shown)
    model = restore(newest_checkpoint(trained_options["checkpoint_dir"], "EASE", "two_cycles"))
    rows = [0, len(model.test) // 2]
    users = [model.user_tokens[model.test.users[row]] for row in rows]
    assert [each["user"] for each in shown] == [user for user in users for _ in range(3)]
    arguments = [*data_options[:-2], "--user", users[1], "-k", "3", "--explain"]
    assert llm4rec(["recommend", *arguments]) == 0
    printed = capsys.readouterr().out
    for each in shown[3:]:
        assert each["sentence"] in printed
        assert f"  {each['item']}  " in printed
        for name, text in each["evidence"].items():
            assert f"{name:<10}  {text}\n" in printed
    last = model.user_history(users[1]).items[-1]
    title = recommend.Explainer(model).names.titles[last]
    assert shown[3]["recent_titles"][0] == (title or f"item {model.item_tokens[last]}")
    assert f"<h3>User {users[1]}</h3>" in recommendations(tmp_path)


def test_it_says_why_the_language_models_sentence_is_not_shown(
    data_options, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(recommend, "load_writer", lambda name: Praises())
    assert llm4rec(["showcase", "--users", "3", *data_options]) == 0
    shown = json.loads((tmp_path / "explanations/two_cycles/loo/EASE/seed_0.json").read_text())
    explained = [each for each in shown if each["template"] != "none"]
    assert explained
    for each in explained:
        assert each["written_by"] == "template"
        assert each["refused"].endswith("is a good choice.")
        assert each["problems"] == ["it gives no further reason"]
        assert all(supported for _, _, supported in each["claims"])
    page = recommendations(tmp_path)
    assert "by template (the language model&#39;s sentence: it gives no further reason)" in page
    assert "the language model&#39;s own" in page  # a row of the table of sentences


@pytest.mark.parametrize(
    ("given", "line"),
    [(["--users", "0"], "--users is 0 (1 or more)"), (["-k", "101"], "-k is 101 (1 to 100)")],
)
def test_bad_input_is_one_line(given, line, data_options, capsys) -> None:
    assert llm4rec(["showcase", *data_options, *given]) == 2
    assert line in capsys.readouterr().err
