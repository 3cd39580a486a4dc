"""SLIST with `learns_online`, alone and in a sum: the null of adaptation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm4rec_recbole.components.adaptation import prequential
from llm4rec_recbole.components.item_relations import fit_relations
from llm4rec_recbole.components.training_features import order_of_histories
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.inference.restore import restore
from llm4rec_recbole.training.experiment import prepare, train
from llm4rec_recbole.training.run import run


@pytest.fixture
def online(options: dict[str, Any]) -> dict[str, Any]:
    return options | {"learns_online": True, "reg_weight": 2.0}


def test_after_the_validation_items_it_equals_a_fit_with_them(online) -> None:
    trained = train("SLIST", "two_cycles", options=online)
    model, data = trained.model, trained.data
    before = model.relations.item_item_weights.clone()
    inter, valid = data.train.dataset.inter_feat, data.valid.held_out
    model.learn_relations(valid, data.valid.outcomes)
    users = np.append(inter["user_id"].numpy(), valid.users)
    items = np.append(inter["item_id"].numpy(), valid.targets)
    expected = fit_relations(users, items, valid.n_items, 2.0, 0.8, 1.0).weights
    np.testing.assert_allclose(model.relations.item_item_weights, expected, atol=1e-5)
    scores = model.score_histories(valid, np.arange(3))
    assert np.array_equal(model.item_similarity, model.relations.item_item_weights.numpy())
    assert scores.shape == (3, valid.n_items)
    assert (before - model.relations.item_item_weights).abs().max() > 0.01


def test_each_ranking_follows_only_what_lies_before_it(online) -> None:
    """B at each group of rows equals a fit with the validation items of the updates so far."""
    trained = train("SLIST", "two_cycles", options=online)
    model, data = trained.model, trained.data
    inter, valid = data.train.dataset.inter_feat, data.valid
    order = np.argsort(valid.outcomes.times, kind="stable")
    times = data.test.held_out.query_times(data.test.outcomes.times)
    ranked = 0
    for rows in model.prequential_rows(valid.held_out, valid.outcomes, times):
        learned = order[: model.adaptation_summary.events]
        assert (valid.outcomes.times[learned][:, None] < times[rows]).all()
        users = np.append(inter["user_id"].numpy(), valid.held_out.users[learned])
        items = np.append(inter["item_id"].numpy(), valid.held_out.targets[learned])
        expected = fit_relations(users, items, valid.held_out.n_items, 2.0, 0.8, 1.0).weights
        np.testing.assert_allclose(model.relations.item_item_weights, expected, atol=1e-5)
        ranked += len(rows)
    assert ranked == len(times)


def test_its_record_and_that_of_a_sum_say_what_was_learned(options, online) -> None:
    given = online | {"method": "SLIST-online"}
    alone = json.loads(run("SLIST", "two_cycles", options=given).read_text())
    own = {"SLIST": {"learns_online": True, "reg_weight": 2.0}}
    given = options | {"references": ["ItemKNN", "SLIST"], "reference_options": own}
    total = json.loads(run("SumOfReferences", "two_cycles", options=given).read_text())
    for content in (alone, total):
        learned = content["adaptation"]
        assert learned["relations_learned"]
        assert not learned["gradients"]
        assert learned["events"] > 0


def test_a_restored_run_has_learned_from_all_validation_items(online, tmp_path: Path) -> None:
    run("SLIST", "two_cycles", options=online | {"checkpoint_dir": str(tmp_path)})
    (path,) = tmp_path.glob("*.safetensors")
    restored = restore(path)
    assert restored.model.adaptation_summary.events == len(restored.valid) > 0
    trained = restore(path, adapted=False).model.relations.item_item_weights
    assert (restored.model.relations.item_item_weights - trained).abs().max() > 0.01


def test_data_without_times_are_refused(online, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prequential, "has_real_times", lambda dataset: False)
    with pytest.raises(InputError, match="learns_online: no times"):
        train("SLIST", "two_cycles", options=online)


def test_expensive_relations_learn_in_few_updates(online, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prequential, "MOST_OPERATIONS", 0.0)
    trained = train("SLIST", "two_cycles", options=online)
    valid = trained.data.valid
    trained.model.learn_relations(valid.held_out, valid.outcomes)
    assert trained.model.adaptation_summary.updates <= prequential.FEW_UPDATES
    assert trained.model.adaptation_summary.events == len(valid.held_out)


def test_histories_are_in_time_order_where_recbole_has_shuffled_the_rows() -> None:
    rows = prepare(
        "SLIST", "ml-100k", options={"protocol": "recbole", "quiet": True}
    ).data.train.dataset
    users, times = (rows.inter_feat[name].numpy() for name in ("user_id", "timestamp"))
    order = order_of_histories(rows)
    late = (np.diff(users[order]) > 0) | (np.diff(times[order]) >= 0)
    assert (np.diff(users[order]) >= 0).all()
    assert late.all()
    by_user = np.argsort(users, kind="stable")
    assert (np.diff(times[by_user])[np.diff(users[by_user]) == 0] < 0).any()  # shuffled
