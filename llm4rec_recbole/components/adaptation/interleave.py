"""Prequential adaptation: the model learns between two rankings, only from what lies before.

    time ──▶   e e e e │  e e e e │  e e e e │       validation items, in the order of their times
                  r    update r r   update  r update  test rows, each by its query time

A test row is ranked by a model that has learned from validation items chosen strictly before the
row's query time, and from no other. The query time is just after the row's last seen item, and at
most the time of its held-out item (HeldOut.query_times). So nothing that happens at or after the
held-out interaction has any influence.

Items are learned `AdaptationSettings.batch` at once. An update counts as before a row if all of its
items do. Updates do not depend on the rows: a model that has passed all of them has the same
weights whether something was ranked in between or not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from llm4rec_recbole.components.adaptation.adapter import (
    NextItemEvent,
    next_item_events,
    online_adapter,
)
from llm4rec_recbole.components.item_relations import RelationTerm
from llm4rec_recbole.config import has_real_times
from llm4rec_recbole.data.held_out import HeldOut, Outcomes
from llm4rec_recbole.data.splits import PROTOCOLS


@dataclass
class AdaptationSummary:
    """What a model has learned between its rankings, for the run record."""

    events: int = 0
    explicit_events: int = 0  # those with a rating
    disliked_events: int = 0
    updates: int = 0
    gradients: bool = True  # whether Eqs. (26–33) changed the weights
    relations_learned: bool = False  # whether the item relations learned
    seconds: float = 0.0  # wall-clock, of the updates and of F (33)
    #: Mean over the test rows of the share of events that were learned before the row.
    share_learned_before_ranking: float = 0.0


Learner = Callable[[Sequence[NextItemEvent]], None]

MOST_OPERATIONS = 4e12  # a minute or two on one core
FEW_UPDATES = 4


def no_event_times(config: Any) -> str:
    """Why nothing can be learned from events in time order; empty where it can."""
    if config["protocol"] not in PROTOCOLS:
        return f"no events in time order under protocol {config['protocol']}"
    if not has_real_times(config["dataset"]):
        return "no times, only each user's order of interactions"
    return ""


def of_kind(outcomes: Outcomes, feedback: str) -> Outcomes:
    """`outcomes` as `feedback`, explicit or implicit: implicit feedback has no ratings."""
    return outcomes if feedback == "explicit" else Outcomes(outcomes.times)


def updates_before(batch_times: Sequence[np.ndarray], query_times: np.ndarray) -> np.ndarray:
    """Return how many updates lie before each query time, (U,) int64.

    batch_times: the times of each update's events; the updates are in the order of time.
    query_times: (U,). An update counts if all of its events are strictly earlier.
    """
    if not batch_times:
        return np.zeros(len(query_times), dtype=np.int64)
    completed = np.maximum.accumulate([times.max() for times in batch_times])  # (updates,)
    return np.searchsorted(completed, query_times, side="left")


def prequential_rows(
    model: Any,
    valid: HeldOut,
    outcomes: Outcomes,
    query_times: np.ndarray,
    gradients: bool = True,
    relations: RelationTerm | None = None,
) -> Iterator[np.ndarray]:
    """Yield the test rows that the present model ranks; learn, in place, until the next ones.

    model: an AdaptiveModel; `model.adaptation_summary` says what it learned. valid, outcomes: the
    validation items. query_times: (U,), of the test rows; without rows the model only learns.
    gradients: whether Eqs. (26–33) update the model; relations: they learn too, None for none.
    """
    began = time.perf_counter()
    size = model.adaptation.batch
    learners = [gradient_learner(model, valid)] if gradients else []
    events = next_item_events(valid, outcomes)
    times = np.sort(outcomes.times, kind="stable")
    if relations is not None:
        learners.append(relation_learner(relations))
        size = relation_update_size(len(events), len(relations.matrix_index), size)
    starts = range(0, len(events), size)
    ready = updates_before([times[start : start + size] for start in starts], query_times)
    summary = model.adaptation_summary = AdaptationSummary(
        explicit_events=sum(event.kind == "explicit" for event in events),
        disliked_events=sum(not event.liked for event in events),
        relations_learned=relations is not None,
        gradients=gradients,
    )
    if len(query_times) and events:
        before = np.minimum(ready * size, len(events))
        summary.share_learned_before_ranking = float(before.mean()) / len(events)
    summary.seconds += time.perf_counter() - began
    for update, start in enumerate(starts):
        rows = np.flatnonzero(ready == update)
        if len(rows):
            yield rows
        began = time.perf_counter()
        batch = events[start : start + size]
        for learn in learners:
            learn(batch)
        summary.events += len(batch)
        summary.updates += 1
        summary.seconds += time.perf_counter() - began
    rows = np.flatnonzero(ready == len(starts))
    if len(rows):
        yield rows


def gradient_learner(model: Any, valid: HeldOut) -> Learner:
    """Eqs. (26–33): one update of `model`, an AdaptiveModel, for each batch of events."""
    adapter = online_adapter(model, valid)
    size = adapter.settings.batch

    def learn(events: Sequence[NextItemEvent]) -> None:
        with torch.enable_grad():
            for start in range(0, len(events), size):
                adapter.update_together(events[start : start + size])

    return learn


def relation_learner(relations: RelationTerm) -> Learner:
    """Adds each event to the item relations, whether its user liked the item or not."""

    def learn(events: Sequence[NextItemEvent]) -> None:
        relations.learn([event.history for event in events], [event.item for event in events])

    return learn


def relation_update_size(n_events: int, n_items: int, size: int) -> int:
    """Events of one update where relations learn: `size`, or more where that would take minutes.

    Adding k events to relations of n items costs 4 k n² operations, at least n³ in all for n / 4.
    """
    if 4.0 * n_events * n_items**2 <= MOST_OPERATIONS:
        return size
    return max(size, -(-n_events // FEW_UPDATES))
