"""A ranking sees what was learned before its query time, and nothing of what comes later."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from llm4rec_recbole.components.adaptation.adapter import AdaptationSettings, EventLoss
from llm4rec_recbole.components.adaptation.prequential import (
    FEW_UPDATES,
    prequential_rows,
    relation_update_size,
    updates_before,
)
from llm4rec_recbole.data.held_out import HeldOut, Outcomes
from tests.helpers.random_held_out import random_held_out

N_USERS = 6


class Recorder:
    """An adaptive model that remembers the items of its updates."""

    def __init__(self, batch: int) -> None:
        self.network = nn.Linear(1, 1)
        self.adaptation = AdaptationSettings(rate=0.1, momentum=0.0, batch=batch)
        self.learned: list[int] = []
        self.adaptation_summary: Any = None

    def eval(self) -> Recorder:
        return self

    def named_parameters(self) -> Any:
        return self.network.named_parameters()

    def fix_content(self) -> None:
        pass

    def event_losses(self, events: Any) -> list[EventLoss]:
        self.learned += [event.item for event in events]
        inputs = [torch.tensor([float(event.item)]) for event in events]
        return [
            EventLoss(self.network(x).sum(), event.kind, 1.0) for x, event in zip(inputs, events)
        ]


def held_out(last_times: list[float], first_item: int) -> HeldOut:
    """One seen item for each user; the held-out items are first_item, first_item + 1, …"""
    n = len(last_times)
    users = np.arange(1, n + 1)
    targets = np.arange(first_item, first_item + n)
    times = np.array(last_times, dtype=np.float64)
    return HeldOut(users, targets, np.arange(n + 1), np.ones(n, dtype=np.int64), times, 100)


moments = st.lists(st.integers(0, 8), min_size=N_USERS, max_size=N_USERS)


@given(chosen=moments, last=moments, waits=moments, batch=st.integers(1, 4))
def test_only_earlier_items_are_learned_before_a_row_is_ranked(chosen, last, waits, batch) -> None:
    """Of each row: nothing at or after its target's time, and at batch 1 all that is earlier."""
    valid = held_out([0.0] * N_USERS, 10)
    test = held_out([float(time) for time in last], 20)
    target_times = np.array(last) + np.array(waits)
    model = Recorder(batch)
    query = test.query_times(target_times)
    ranked: list[int] = []
    for rows in prequential_rows(model, valid, Outcomes(np.array(chosen)), query):
        ranked += rows.tolist()
        for row in rows.tolist():
            times = [chosen[item - 10] for item in model.learned]
            assert all(time < target_times[row] and time <= last[row] for time in times)
            if batch == 1:
                assert len(times) == sum(time < query[row] for time in chosen)
    assert sorted(ranked) == list(range(N_USERS))
    assert sorted(model.learned) == list(range(10, 10 + N_USERS))  # all, at the end
    assert model.adaptation_summary.events == N_USERS
    assert model.adaptation_summary.updates == -(-N_USERS // batch)


def test_a_row_is_ranked_just_after_its_last_item_unless_the_next_comes_at_once() -> None:
    rows = held_out([5, 5], 10)
    after, at_once = rows.query_times(np.array([9, 5]))
    assert (after, at_once) == (np.nextafter(5, np.inf), 5)


@given(rows=st.lists(st.integers(0, 39), min_size=1, max_size=8))
def test_a_subset_has_the_histories_of_its_rows(rows) -> None:
    whole, rows = random_held_out(), np.array(rows)
    part, own = whole.subset(rows), np.arange(len(rows))
    assert (part.users == whole.users[rows]).all()
    assert (part.targets == whole.targets[rows]).all()
    assert all((a == b).all() for a, b in zip(part.last(own, 9), whole.last(rows, 9)))
    for number, row in enumerate(rows):
        times = part.times[part.indptr[number] : part.indptr[number + 1]]
        assert (times == whole.times[whole.indptr[row] : whole.indptr[row + 1]]).all()


def test_an_update_counts_once_all_of_its_items_are_earlier() -> None:
    batches = [np.array([1, 2]), np.array([2, 4]), np.array([6])]
    assert updates_before(batches, np.array([1, 2, 2.5, 4, 4.5, 7])).tolist() == [0, 0, 1, 1, 2, 3]
    assert updates_before([], np.array([1.0])).tolist() == [0]


def test_what_a_later_item_was_changes_no_earlier_weight() -> None:
    """Two worlds that differ after moment 3: until then the weights are equal to the last bit."""
    test = held_out([0, 3, 6, 9], 20)
    query = test.query_times(np.array([1, 4, 7, 10]))
    worlds = []
    for later in (13, 14):
        targets = np.array([10, 11, later, 15])
        valid = replace(held_out([0] * 4, 10), targets=targets)
        torch.manual_seed(0)
        model, weights = Recorder(1), {}
        for rows in prequential_rows(model, valid, Outcomes(np.array([1, 3, 5, 8])), query):
            weights |= {int(row): model.network.weight.item() for row in rows}
        worlds.append(weights)
    assert [worlds[0][row] == worlds[1][row] for row in range(4)] == [True, True, False, False]
    assert worlds[0][0] != worlds[0][1]  # it learns


def test_ranking_in_between_does_not_change_what_is_learned() -> None:
    valid, outcomes = held_out([0] * 5, 10), Outcomes(np.array([4, 2, 3, 1, 5]))
    weights = []
    for query in (np.array([2.5, 4.5, 1.5]), None):
        torch.manual_seed(0)
        model = Recorder(2)
        if query is None:
            assert not list(prequential_rows(model, valid, outcomes, np.zeros(0)))
        else:
            assert sum(len(rows) for rows in prequential_rows(model, valid, outcomes, query)) == 3
        assert model.learned == [13, 11, 12, 10, 14]
        weights.append(model.network.weight.item())
    assert weights[0] == weights[1]


def test_ratings_make_explicit_events() -> None:
    valid = held_out([0] * 4, 10)
    model = Recorder(1)
    outcomes = Outcomes(np.arange(4), np.array([True, False, True, True]))
    assert not list(prequential_rows(model, valid, outcomes, np.zeros(0)))
    summary = model.adaptation_summary
    assert (summary.explicit_events, summary.disliked_events) == (4, 1)


@pytest.mark.parametrize("batch", [1, 3])
def test_the_summary_has_the_share_that_a_ranking_saw(batch: int) -> None:
    valid, query = held_out([0] * 4, 10), np.array([0.5, 99.0])
    model = Recorder(batch)
    list(prequential_rows(model, valid, Outcomes(np.arange(1, 5)), query))
    assert model.adaptation_summary.share_learned_before_ranking == pytest.approx(0.5)


def test_relations_of_many_items_learn_in_few_updates() -> None:
    assert relation_update_size(943, 1683, 16) == 16
    assert -(-150_000 // relation_update_size(150_000, 15_001, 16)) == FEW_UPDATES
    assert relation_update_size(20, 10**6, 16) == 16  # at least the number that the option gives
