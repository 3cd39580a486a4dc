"""Retrieval in EnhancedGenRec: entries of unseen items, and the relations in the ranking."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from llm4rec_recbole.components.item_relations import fit_relations
from llm4rec_recbole.components.retrieval import context as retrieved_context
from llm4rec_recbole.training.experiment import prepare, train
from tests.helpers.two_cycles import one_history


def test_relations_among_few_items_leave_the_others_ranking_alone(small: dict[str, Any]) -> None:
    """What they add is all that differs: with every item, the items that take part, or none."""
    given = {"relation_weight": 8.0, "relation_reg": 500.0, "relation_decay": 0.9}
    options = small | {"components": ["retrieval"]} | given
    some, none = (
        prepare("EnhancedGenRec", "two_cycles", options=options | {"max_relation_items": n})
        for n in (6, 0)
    )
    index = some.model.relations.matrix_index
    some.model.relations(torch.tensor([[1]]))  # the first use fits
    assert index.count_nonzero() == 6 < some.model.n_items - 1
    inter = some.data.train._dataset.inter_feat
    users, rows = inter["user_id"].numpy(), index[inter["item_id"]].numpy()
    given = (some.config[f"relation_{name}"] for name in ("reg", "decay", "next_weight"))
    expected = fit_relations(users, rows, 7, *given).weights
    torch.testing.assert_close(some.model.relations.item_item_weights, expected)
    history = index.nonzero()[:3, 0][None]  # three items that have relations
    users = torch.tensor([1])
    for trained in (some, none):
        trained.model.eval()
    added = (some.model.score(users, history) - none.model.score(users, history))[0]
    assert not added[index == 0].any()
    assert added[index > 0].any()


def items_of(context: Any, entries: Any) -> Any:
    """The items of entries, -1 where there is none."""
    return np.where(entries >= 0, entries // context.tokens.size, -1)


def test_what_is_retrieved_was_not_seen_and_may_be_the_target(described: dict[str, Any]) -> None:
    run_ = prepare("EnhancedGenRec", "two_cycles", options=described)
    context, held_out = run_.model.retrieved, run_.data.valid.held_out
    rows = np.arange(len(held_out))
    items = items_of(context, context.now(held_out, rows).numpy())
    targets = 0
    for row, positions in zip(rows, items):
        seen = held_out.items[held_out.indptr[row] : held_out.indptr[row + 1]][-context.length :]
        last = positions[len(seen) - 1]
        assert (last > 0).any()
        assert not set(last) & set(seen)
        targets += held_out.targets[row] in last
    assert targets > len(rows) / 4


def test_a_positions_entries_are_those_of_what_was_seen_up_to_it(
    described: dict[str, Any],
) -> None:
    """A training row, and a held-out history that ends there, at the same moment."""
    run_ = prepare("EnhancedGenRec", "two_cycles", options=described)
    context, features = run_.model.retrieved, run_.model.retrieved.features
    position = torch.tensor([[5, 6, 7, 8], [1, 2, 0, 0]])
    entries = context.before(position).numpy()
    assert entries.shape == (2, 4, context.k)
    assert (entries[1, 2:] == -1).all()
    for row, column in ((0, 0), (0, 3), (1, 1)):
        index = int(position[row, column]) - 1
        start = features.indptr[features.users[index]]
        history, now = features.items[start : index + 1], features.times[[index]]
        alone = context.at([history], now, features.users[[index]]).numpy()
        assert (alone[0, -1] == entries[row, column]).all()


def test_a_large_data_set_is_retrieved_batch_by_batch(
    described: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = prepare("EnhancedGenRec", "two_cycles", options=described).model.retrieved
    position = torch.tensor([[400, 401, 402], [9, 10, 0]])
    prepared = context.before(position)
    assert (prepared[0] >= 0).any()
    monkeypatch.setattr(retrieved_context, "MAX_PREPARED", 0)
    context._prepared = None
    assert torch.equal(context.before(position), prepared)
    assert context._prepared is None


def test_what_came_to_be_later_is_not_retrieved_earlier(described: dict[str, Any]) -> None:
    """One history, queried before and after the others went the same way."""
    options = described | {"components": ["retrieval"], "retrieval_text_share": 0.0}
    context = prepare("EnhancedGenRec", "two_cycles", options=options).model.retrieved
    retrieved = [
        context.now(one_history(np.arange(2, 20), now), np.array([0])) for now in (0.0, 2e9)
    ]
    assert (retrieved[0] == -1).all()
    assert (retrieved[1][0, -1] >= 0).all()


def test_random_entries_depend_on_the_history_alone_and_are_dated_before_the_query(described):
    options = described | {"components": ["retrieval"], "retrieved_source": "random"}
    trained = train("EnhancedGenRec", "two_cycles", options=options | {"epochs": 1})
    context, held_out = trained.model.retrieved, trained.data.test.held_out
    rows = np.arange(len(held_out))
    entries = context.now(held_out, rows).numpy()
    alone = [context.now(held_out, rows[[row]]).numpy()[0] for row in rows]
    assert all((entries[row, : len(its)] == its).all() for row, its in enumerate(alone))
    features = context.features
    for row, drawn in zip(rows, items_of(context, entries)):
        last = held_out.times[held_out.indptr[row + 1] - 1]
        earlier = features.items[features.times <= last]
        assert set(drawn.ravel()) <= {-1, *earlier}
    by_query = train("EnhancedGenRec", "two_cycles", options=described | {
        "components": ["retrieval"], "epochs": 1})  # fmt: skip
    assert (by_query.model.retrieved.now(held_out, rows).numpy() != entries).any()
