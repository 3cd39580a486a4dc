"""Options are validation's choice, and no reference had fewer trials than our model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from llm4rec_recbole.config import folder
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.training.trials import best_trial, read_trials, write_experiment
from llm4rec_recbole.training.tune import read_space, tune

TOP = Path(__file__).resolve().parents[2]
TRIALS = sorted((TOP / "results" / "tuning" / "ml-100k" / "loo").glob("*.csv"))

#: Options that are not those of the best trial. RecencyEASE has the published ones, which
#: validation puts within its noise of the winner: a reference must not be weaker than published.
#: EASE's winner is .0001 above its default. SLIST's default was chosen on two data sets without
#: their test items (benchmarks/studies/shortened.py); the winner is .0035 above it here.
CHOSEN_OTHERWISE = {
    "EASE": {"reg_weight": 100},
    "RecencyEASE": {"reg_weight": 200, "decay": 0.9},
    "SLIST": {"reg_weight": 500, "decay": 0.8, "next_weight": 1.0},
}


def test_a_model_without_a_space_is_named():
    with pytest.raises(InputError, match=r"FM\.yaml: there is no search space for FM"):
        read_space("FM")


@pytest.fixture
def space(tmp_path, monkeypatch):
    """Write a space for a model; the property files are a copy."""
    properties = tmp_path / "properties"
    shutil.copytree(folder(), properties)
    for module in ("trials", "tune"):
        monkeypatch.setattr(f"llm4rec_recbole.training.{module}.folder", lambda: properties)

    def write(model, text):
        (properties / "search" / f"{model}.yaml").write_text(text)

    return write


def search(model, tmp_path, options, trials, **given):
    journals = tmp_path / "journals"
    return tune(model, "two_cycles", "loo", tmp_path, trials, 5, journals, **(options | given))


def test_trials_are_of_the_space_and_stay_when_the_search_goes_on(options, tmp_path, space):
    space("EASE", "reg_weight: {from: 1.0, to: 500.0, log: true}")
    path = search("EASE", tmp_path, options, 3)
    first = read_trials(path)
    own = yaml.safe_load((TOP / "properties/model/EASE.yaml").read_text())
    assert json.loads(first[0]["options"]) == {"reg_weight": own["reg_weight"]}
    assert len(first) == 3
    assert all(1 <= json.loads(row["options"])["reg_weight"] <= 500 for row in first)
    assert read_trials(search("EASE", tmp_path, options, 3)) == first
    more = read_trials(search("EASE", tmp_path, options, 5))
    assert more[:3] == first
    assert len(more) == 5


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"valid_metric": "MRR@10"}, "trials are compared by ndcg@10, but valid_metric is MRR@10"),
        ({"eval_step": 0, "epochs": 1}, "no epoch is validated"),
    ],
)
def test_trials_that_cannot_be_compared_are_refused(options, tmp_path, space, given, line):
    space("BPR", "learning_rate: [0.01, 0.1]")
    with pytest.raises(InputError, match=line):
        search("BPR", tmp_path, options, 1, **given)


def test_a_lost_journal_is_filled_from_the_table(options, tmp_path, space, monkeypatch):
    space("EASE", "reg_weight: [50, 100, 200]")
    path = search("EASE", tmp_path, options, 3)
    before = path.read_text()
    shutil.rmtree(tmp_path / "journals")
    monkeypatch.setattr("llm4rec_recbole.training.tune.Search.run", None)  # would fail if it ran
    assert search("EASE", tmp_path, options, 3).read_text() == before


def test_trials_of_another_space_stay_in_the_table_and_do_not_count(options, tmp_path, space):
    path = tmp_path / "tuning" / "two_cycles" / "loo" / "EASE.csv"
    path.parent.mkdir(parents=True)
    header = "options,valid_ndcg@10,best_epoch,epochs,seconds,seed\n"
    old = [{"old": 50}, {"reg_weight": 77}]  # another option, and a value that the space has not
    lines = ['"' + json.dumps(setting).replace('"', '""') + '",0.1,1,1,1.0,0\n' for setting in old]
    path.write_text(header + "".join(lines))
    space("EASE", "reg_weight: [50, 100, 200]")
    rows = read_trials(search("EASE", tmp_path, options, 2))
    assert [json.loads(row["options"]) for row in rows[:2]] == old
    assert len(rows) == 4
    assert read_trials(search("EASE", tmp_path, options, 2)) == rows


def test_a_trial_of_a_dead_process_is_run_again(options, tmp_path, space):
    import optuna
    from optuna.storages.journal import JournalFileBackend

    space("EASE", "reg_weight: [50, 100, 200]")
    search("EASE", tmp_path, options, 1)
    journal = tmp_path / "journals" / "two_cycles-loo-EASE.journal"
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
    study = optuna.load_study(study_name=None, storage=storage)
    study.ask().set_user_attr("pid", 2**22 + 1)  # above the largest pid
    assert len(read_trials(search("EASE", tmp_path, options, 2))) == 2


def test_a_trial_ends_at_the_ceiling_of_time_with_its_best_score(options, tmp_path, space):
    space("SASRec", "learning_rate: [0.001]\nepochs: [200]\neval_step: [1]")
    path = tune("SASRec", "two_cycles", "loo", tmp_path, 1, 1e-9, tmp_path / "journals", **options)
    (row,) = read_trials(path)
    assert row["state"] == "out of time"
    assert row["epochs"] == "1"


def test_a_trial_that_has_trained_to_its_end_is_complete(options, tmp_path, space):
    """Its score is known: the pruner may only end a trial that would train on."""
    space("EASE", "reg_weight: {from: 1.0, to: 5000.0, log: true}")
    rows = read_trials(search("EASE", tmp_path, options, 12))
    assert {row["state"] for row in rows} == {"complete"}


def test_drawn_numbers_have_three_digits(options, tmp_path, space):
    space("EASE", "reg_weight: {from: 1.0, to: 5000.0, log: true}")
    for row in read_trials(search("EASE", tmp_path, options, 4)):
        value = json.loads(row["options"])["reg_weight"]
        assert value == float(f"{value:.3g}")


def test_the_best_options_become_an_experiment(options, tmp_path, space):
    space("EASE", "reg_weight: [50, 100, 200]")
    path = search("EASE", tmp_path, options, 3)
    file = write_experiment(path, "EASE", "two_cycles", "loo")
    assert yaml.safe_load(file.read_text()) == json.loads(best_trial(path)["options"])
    assert "# Validation trials: 3." in file.read_text()


def test_a_class_of_ones_own_is_searched_in_a_space_of_ones_own(options, tmp_path):
    from llm4rec_recbole.models.baselines import RecencyEASE

    class MyEASE(RecencyEASE):
        pass

    for values in ("[50, 100]", "[200, 500]"):  # another space has a search of its own
        file = tmp_path / "space.yaml"
        file.write_text(f"reg_weight: {values}")
        path = search(MyEASE, tmp_path, options, 2, space_file=file, decay=0.9)
    assert path.name == "MyEASE.csv"
    tried = [json.loads(row["options"])["reg_weight"] for row in read_trials(path)]
    assert set(tried[:2]) == {50, 100}  # the trials of the first space stay in the table
    assert set(tried[2:]) == {200, 500}
    assert len(tried) == 4


def test_the_settings_of_the_space_come_after_those_of_the_property_file(options, tmp_path, space):
    space("EASE", "reg_weight: [50, 100, 200]\nfirst_trials:\n  - {reg_weight: 200}")
    rows = read_trials(search("EASE", tmp_path, options, 2))
    assert [json.loads(row["options"])["reg_weight"] for row in rows] == [100, 200]


@pytest.mark.parametrize(
    "first", ["[{reg_weight: 7}]", "[{decay: 0.5}]", "{reg_weight: 50}", "[5]"]
)
def test_a_first_setting_outside_of_the_space_is_refused(first, space):
    space("EASE", f"reg_weight: [50, 100]\nfirst_trials: {first}")
    with pytest.raises(InputError, match="first_trials"):
        read_space("EASE")


@pytest.mark.parametrize("text", ["reg_weight: 5", "reg_weight: []", "reg_weight: {from: 1}"])
def test_a_space_without_values_is_refused(text, space):
    space("EASE", text)
    with pytest.raises(InputError, match="reg_weight has no values to try"):
        read_space("EASE")


@pytest.mark.parametrize(
    "model", sorted(p.stem for p in (TOP / "properties/search").glob("*.yaml"))
)
def test_a_space_holds_options_that_the_model_reads(model):
    from llm4rec_recbole.training.checks import check_option_values

    for name, values in read_space(model)[0].items():
        for value in values if isinstance(values, list) else [values["from"], values["to"]]:
            check_option_values(model, {name: value})


@pytest.mark.parametrize("path", TRIALS, ids=lambda path: path.stem)
def test_no_reference_has_fewer_trials_than_our_model(path):
    ours = read_trials(path.with_name("EnhancedGenRec.csv"))
    assert len(read_trials(path)) >= len(ours) == 4


@pytest.mark.parametrize("path", TRIALS, ids=lambda path: path.stem)
def test_the_property_file_holds_the_winner(path):
    from llm4rec_recbole.training.run import load_config

    config = load_config(path.stem, "ml-100k")
    winner = CHOSEN_OTHERWISE.get(path.stem) or json.loads(best_trial(path)["options"])
    winner.pop("epochs", None)  # of a trial; the chosen setting trains to early stopping
    assert {name: config[name] for name in winner} == winner


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
    assert json.loads(best_trial(path)["options"]) == {"reg_weight": 50}
    path.write_text(damage(path.read_text()))
    with pytest.raises(InputError, match=r"EASE\.csv:[23]: this is no trial"):
        best_trial(path)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"EASE\.csv: cannot read the trials"):
        best_trial(path)
