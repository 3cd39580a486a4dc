"""docs/adding_a_model.md, followed word for word on a small data set."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from llm4rec_recbole import registry
from llm4rec_recbole.cli.run import run_recbole
from llm4rec_recbole.errors import InputError

PAGE = Path(__file__).parents[2] / "docs" / "adding_a_model.md"
SMALL = ["--quiet=true", "--show_progress=false", "--num_threads=1"]
COLUMNS = "--load_col={inter: [user_id, item_id, timestamp]}"


@pytest.fixture
def page(two_cycles: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The page. Its files are written to this folder; `ml-100k` is a copy of `two_cycles`."""
    text = PAGE.read_text(encoding="utf-8")
    for title, code in re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', text, re.DOTALL):
        Path(title).write_text(code, encoding="utf-8")
    monkeypatch.setattr(registry, "USER_MODELS", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in sys.modules if "my_models" in name]:
        monkeypatch.delitem(sys.modules, name)
    return text.replace("--dataset=ml-100k", f"--dataset=two_cycles --data_path={two_cycles}")


def command(line: str) -> dict:
    """The record of `run_recbole` with the options of `line`."""
    import shlex

    assert run_recbole([*shlex.split(line)[1:], COLUMNS, *SMALL]) == 0
    newest = max(Path("work/runs").rglob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    return json.loads(newest.read_text())


def test_the_commands_of_the_page_write_records(page: str) -> None:
    lines = re.findall(r"^run_recbole .*$", page, re.MULTILINE)
    records = [command(line) for line in lines]
    assert [record["method"] for record in records] == ["MyCooccurrence", "MySmooth"]
    assert all(record["metrics"]["test"]["full"]["ndcg@10"] > 0 for record in records)
    first, second = (record["provenance"]["config_sha256"] for record in records)
    assert first != second  # of another smoothing


def test_a_module_an_entry_point_and_a_class_name_the_same_model(
    page: str, two_cycles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm4rec_recbole.training.run import run

    Path("my_package").mkdir()
    Path("my_package/__init__.py").touch()
    for name in ("my_models.py", "MyCooccurrence.yaml"):
        Path("my_package", name).write_text(Path(name).read_text())
    dataset = f"--dataset=two_cycles --data_path={two_cycles}"
    by_file = command(f"run_recbole --model=my_models.py:MyCooccurrence {dataset}")
    by_module = command(f"run_recbole --model=my_package.my_models:MyCooccurrence {dataset}")
    (name, place) = re.search(r'^(\w+) = "(my_package\.[\w.:]+)"$', page, re.MULTILINE).groups()
    monkeypatch.setattr(registry, "_entry_points", lambda: {name: place})
    by_entry_point = command(f"run_recbole --model={name} {dataset}")
    from my_package.my_models import MyCooccurrence

    options = {
        "data_path": str(two_cycles),
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    }
    by_class = json.loads(run(MyCooccurrence, "two_cycles", options=options).read_text())
    for record in (by_module, by_entry_point, by_class):
        assert record["metrics"] == by_file["metrics"]


def test_a_trained_model_of_ones_own_recommends(
    page: str, two_cycles: Path, capsys: pytest.CaptureFixture
) -> None:
    from llm4rec_recbole.cli.run import llm4rec

    command(
        "run_recbole --model=my_models.py:MyCooccurrence --method=MySmooth "
        f"--dataset=two_cycles --data_path={two_cycles}"
    )
    model = ["--model", "my_models.py:MyCooccurrence"]
    assert llm4rec(["recommend", *model, "--dataset", "two_cycles", "--user", "u3"]) == 0
    assert "MySmooth on two_cycles" in capsys.readouterr().out


def test_the_search_of_the_page_writes_trials(
    page: str, two_cycles: Path, capsys: pytest.CaptureFixture
) -> None:
    from llm4rec_recbole.cli.run import llm4rec

    (line,) = re.findall(r"^llm4rec tune .*$", page, re.MULTILINE)
    Path("columns.yaml").write_text("load_col: {inter: [user_id, item_id, timestamp]}")
    dataset = ["--dataset", "two_cycles", "--data-path", str(two_cycles)]
    dataset += ["--config_files", "columns.yaml"]
    words = line.replace("--trials=8", "--trials=2").split()[1:]
    assert llm4rec([*words, *dataset]) == 0
    assert 'best: {"smoothing": ' in capsys.readouterr().out
    assert Path("work/tuning/two_cycles/loo/MyCooccurrence.csv").is_file()


@pytest.mark.parametrize(
    ("text", "place", "line"),
    [
        ("", "gone.py:X", "gone.py: there is no such file"),
        ("", "no.such.module:X", "cannot import no.such.module: ModuleNotFoundError"),
        ("x = (", "broken.py:X", "broken.py: cannot import it: SyntaxError"),
        (
            "raise ValueError('a\\nb')",
            "broken.py:X",
            "cannot import it: ValueError: a b",
        ),
        ("class X: pass", "broken.py:X", "broken.py has no model X"),
        ("X = 3", "broken.py:X", "broken.py has no model X"),
    ],
)
def test_an_object_that_is_not_a_model_is_refused_in_one_line(
    page: str, text: str, place: str, line: str, capsys: pytest.CaptureFixture
) -> None:
    Path("broken.py").write_text(text)
    assert run_recbole([f"--model={place}", *SMALL]) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1


def test_a_class_with_a_property_file_is_a_model_of_this_project() -> None:
    assert registry._own_models()["EASE"] == "llm4rec_recbole.models.baselines"
    assert "BERT4Rec" not in registry.MODELS  # RecBole's class, with a file of ours
    with pytest.raises(InputError):
        registry.resolve_model("no_file.py:X")
