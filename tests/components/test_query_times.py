"""When a step asks: after all that was seen, and never after what it asks for."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from llm4rec_recbole.analysis.online_replay import HeldOutTask, held_out_stream
from llm4rec_recbole.components.adaptation.adapter import (
    last_seen_events,
    next_item_events,
    query_time,
)
from llm4rec_recbole.data.held_out import HeldOut, Outcomes

# User 1 has item 3 in the same second as item 2.
USERS, ITEMS, TIMES = np.array([1, 1, 1, 1]), np.array([1, 2, 3, 4]), np.array([10, 20, 20, 30])


def test_right_after_is_the_next_number_unless_something_precedes_it() -> None:
    times = np.array([10, 20])
    assert query_time(times) == np.nextafter(20.0, np.inf)
    assert query_time(times, 20.0) == 20
    assert query_time(times, 21.0) == np.nextafter(20.0, np.inf)


def test_a_step_to_the_last_item_seen_asks_no_later_than_it() -> None:
    held_out = HeldOut(USERS[:1], ITEMS[3:], np.array([0, 3]), ITEMS[:3], TIMES[:3], 5)
    outcomes = Outcomes(TIMES[3:])
    (known,), (new,) = last_seen_events(held_out), next_item_events(held_out, outcomes)
    assert (known.history.tolist(), known.item, known.query_time) == ([1, 2], 3, 20)
    assert (new.history.tolist(), new.item) == ([1, 2, 3], 4)
    assert new.query_time == np.nextafter(20.0, np.inf)


def test_the_query_time_of_an_event_is_that_of_its_item() -> None:
    log = SimpleNamespace(users=USERS, items=ITEMS, times=TIMES)
    model: Any = SimpleNamespace(users=USERS[:2], items=ITEMS[:2], log=log)
    events = [event.next_item for event in held_out_stream(model)]
    assert [(step.item, step.query_time) for step in events] == [
        (3, 20),
        (4, np.nextafter(20, np.inf)),
    ]


def test_a_repeated_item_is_not_an_event() -> None:
    items = np.array([1, 2, 2, 4])
    log = SimpleNamespace(users=USERS, items=items, times=TIMES)
    model: Any = SimpleNamespace(users=USERS[:1], items=items[:1], log=log)
    events = [event.next_item for event in held_out_stream(model)]
    assert [(step.history.tolist(), step.item) for step in events] == [([1], 2), ([1, 2], 4)]


def test_every_method_starts_from_the_same_weights() -> None:
    learner = torch.nn.Linear(2, 1)
    weights = copy.deepcopy(learner.state_dict())
    torch.nn.init.zeros_(learner.weight)  # what the method before has learned
    model: Any = SimpleNamespace(model=learner)
    HeldOutTask(
        model, weights, HeldOut(USERS[:1], ITEMS[3:], np.array([0, 3]), ITEMS[:3], TIMES[:3], 5)
    )
    assert torch.equal(learner.weight, weights["weight"])
