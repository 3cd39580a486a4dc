"""Options are validation's choice, and every method had the same number of trials."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.training.tune import BUDGET, best_setting, draw_settings, read_space, tune

TOP = Path(__file__).resolve().parents[2]
TRIALS = sorted((TOP / "results" / "tuning" / "ml-100k" / "loo").glob("*.csv"))

#: Kept at the published setting, which validation puts within its noise of the winner: a reference
#: must not be weaker than published. docs/baselines.md tells both.
PUBLISHED = {"RecencyEASE": {"reg_weight": 200, "decay": 0.9}}


def test_settings_are_distinct_and_the_same_for_the_same_seed():
    space = {"a": [1, 2, 3], "b": [1, 2, 3]}
    settings = draw_settings(space, 5)
    assert settings == draw_settings(space, 5)
    assert len({tuple(s.items()) for s in settings}) == 5
    assert settings[:2] == draw_settings(space, 2)  # a larger budget only adds trials


def test_a_small_grid_is_searched_whole():
    assert len(draw_settings({"a": [1, 2]}, 5)) == 2


def test_a_model_without_a_space_is_named():
    with pytest.raises(InputError, match=r"FM\.yaml: there is no search space for FM"):
        read_space("FM")


def test_trials_are_kept_and_not_run_again(options, tmp_path, monkeypatch):
    monkeypatch.setattr("llm4rec_recbole.training.tune.BUDGET", 2)
    path = tune("EASE", "two_cycles", "loo", tmp_path, **options)
    before = path.read_text()
    assert len(list(csv.DictReader(before.splitlines()))) == 2
    monkeypatch.setattr("llm4rec_recbole.training.run.train", None)  # would fail if it ran
    assert tune("EASE", "two_cycles", "loo", tmp_path, **options).read_text() == before


@pytest.mark.parametrize("path", TRIALS, ids=lambda path: path.stem)
def test_every_method_has_the_same_number_of_trials(path):
    with open(path, newline="") as file:
        assert len(list(csv.DictReader(file))) == BUDGET


@pytest.mark.parametrize("path", TRIALS, ids=lambda path: path.stem)
def test_the_property_file_holds_the_winner(path):
    file = TOP / "properties" / "model" / f"{path.stem}.yaml"
    chosen = yaml.safe_load(file.read_text())
    winner = PUBLISHED.get(path.stem) or best_setting(path)
    winner.pop("epochs", None)  # of a trial; the chosen setting trains to early stopping
    assert {name: float(chosen[name]) for name in winner} == pytest.approx(winner)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("options", "option", 1),
        lambda text: text + '"{}",0.1\n',
        lambda text: text.replace("{", "[", 1),
        lambda text: text.replace("0.1", "nan", 1),
        lambda text: text.replace("1.0", "x", 1).replace("0.1", "many", 1),
    ],
)
def test_a_damaged_file_of_trials_is_refused_with_its_line(damage, tmp_path):
    path = tmp_path / "EASE.csv"
    header = "options,valid_ndcg@10,best_epoch,epochs,seconds,seed\n"
    path.write_text(header + '"{""reg_weight"": 50}",0.1,1,1,1.0,0\n')
    assert best_setting(path) == {"reg_weight": 50}
    path.write_text(damage(path.read_text()))
    with pytest.raises(InputError, match=r"EASE\.csv:[23]: this is no trial"):
        best_setting(path)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"EASE\.csv: cannot read the trials"):
        best_setting(path)
