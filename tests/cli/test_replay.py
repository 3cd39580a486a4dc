"""`llm4rec replay`: every held-out item is ranked before it is learned from."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from llm4rec_recbole import checkpoints
from llm4rec_recbole.analysis.online_replay import (
    HeldOutTask,
    held_out_stream,
    last_training_items,
    max_stable_ewc_strength,
    ndcg_of,
)
from llm4rec_recbole.cli.run import llm4rec
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.inference.restore import TrainedModel, restore

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture(scope="module")
def model(adaptive: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    with contextlib.chdir(tmp_path_factory.mktemp("replay")):  # texts are encoded where it runs
        return restore(adaptive, adapted=False)


def test_without_adaptation_a_model_has_its_trained_weights(
    model: TrainedModel,
    adaptive: Path,
) -> None:
    saved = checkpoints.load(adaptive)["state_dict"]
    assert all(torch.equal(value, saved[name]) for name, value in model.model.state_dict().items())
    bias = restore(adaptive).model.item_bias
    assert not torch.equal(bias, saved["item_bias"])


def test_the_stream_is_what_was_held_out_in_time_order(model: TrainedModel) -> None:
    moments = held_out_stream(model)
    found = {}
    for step, times in moments:
        found.setdefault(step.user, []).append(step)
        assert len(times) == len(step.history)
        assert (np.diff(times) >= 0).all()
    assert len(moments) == 2 * len(model.test)
    for row, user in enumerate(model.test.users.tolist()):
        first, second = found[user]
        span = slice(model.test.indptr[row], model.test.indptr[row + 1])
        assert [*first.history, first.item] == model.test.items[span].tolist() == [*second.history]
        assert second.item == model.test.targets[row]
    when = dict(zip(zip(model.log.users, model.log.items), model.log.times))
    order = [when[step.user, step.item] for step, _ in moments]
    assert order == sorted(order)


def test_a_repeated_interaction_is_not_an_event(model: TrainedModel) -> None:
    from dataclasses import replace

    log = model.log
    twice = log._replace(
        users=np.append(log.users, log.users[0]),
        items=np.append(log.items, log.items[0]),
        times=np.append(log.times, 3e9),
        ratings=None,
    )
    assert len(held_out_stream(replace(model, log=twice))) == len(held_out_stream(model))


def test_old_data_are_the_last_training_items() -> None:
    indptr = np.array([0, 3, 4, 6])
    items = np.array([1, 2, 3, 4, 5, 6])
    old = last_training_items(
        HeldOut(np.array([7, 8, 9]), np.ones(3, int), indptr, items, items * 10, 9)
    )
    assert (old.users.tolist(), old.targets.tolist()) == ([7, 9], [3, 6])
    assert (old.indptr.tolist(), old.items.tolist()) == ([0, 2, 3], [1, 2, 5])
    assert old.times.tolist() == [10, 20, 50]


def test_a_moment_is_scored_as_the_tables_score_it(model: TrainedModel) -> None:
    weights = model.model.state_dict()
    task = HeldOutTask(model, weights, last_training_items(model.valid))
    of_rows = dict(zip(model.test.users.tolist(), ndcg_of(model, model.test)))
    moments = {
        event.next_item.user: event for event in held_out_stream(model)
    }  # each user's last: the test
    for user in list(moments)[:5]:
        assert task.score(moments[user]) == pytest.approx(of_rows[user])


def test_the_strongest_pull_takes_the_stiffest_parameter_back() -> None:
    importance = {"a": torch.tensor([0.0, 0.5]), "b": torch.tensor([[0.25]])}
    assert max_stable_ewc_strength(0.1, importance) == pytest.approx(20)
    assert max_stable_ewc_strength(0.1, {"a": torch.zeros(2)}) == 0


def test_four_update_rules_are_compared_and_written(adaptive: Path, tmp_path: Path, capsys) -> None:
    given = ["--checkpoint", str(adaptive), "--results_dir", str(tmp_path), "--most", "30"]
    assert llm4rec(["replay", *given]) == 0
    path = tmp_path / "replay/two_cycles/loo/EnhancedGenRec/seed_0.json"
    record = json.loads(path.read_text())
    rules = record["rules"]
    assert list(rules) == ["frozen", "sgd", "selective", "ewc"]
    assert record["events"] == 30
    frozen = rules["frozen"]
    assert (frozen["difference"], frozen["forgetting"], frozen["selected"]) == (0, 0, 0)
    assert {rule["old_before"] for rule in rules.values()} == {frozen["old_before"]}
    assert rules["sgd"]["selected"] > rules["selective"]["selected"] > 0
    assert record["settings"]["ewc"]["ewc"] > 0
    assert all(math.isfinite(value) for rule in rules.values() for value in rule.values())
    out = capsys.readouterr().out
    assert "Difference to frozen, 95 %" in out
    assert f"written: {path}" in out


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["--model", "EASE"], "EASE does not learn from single events"),
        (["--most", "0"], "--most is 0 (1 or more)"),
    ],
)
def test_bad_input_is_one_line(given, line, trained_options, capsys) -> None:
    data_options = [
        "--dataset",
        "two_cycles",
        "--checkpoint_dir",
        trained_options["checkpoint_dir"],
    ]
    assert llm4rec(["replay", *data_options, *given]) == 2
    assert line in capsys.readouterr().err
