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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from llm4rec_recbole.components.adaptation.adapter import next_item_events, online_adapter
from llm4rec_recbole.data.held_out import HeldOut, Outcomes


@dataclass
class AdaptationSummary:
    """What a model has learned between its rankings, for the run record."""

    events: int = 0
    explicit_events: int = 0  # those with a rating
    disliked_events: int = 0
    updates: int = 0
    seconds: float = 0.0  # wall-clock, of the updates and of F (33)
    #: Mean over the test rows of the share of events that were learned before the row.
    share_learned_before_ranking: float = 0.0


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
    model: Any, valid: HeldOut, outcomes: Outcomes, query_times: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield the test rows that the present model ranks; learn, in place, until the next ones.

    model: an AdaptiveModel; `model.adaptation_summary` says what it learned. valid, outcomes: the
    validation items. query_times: (U,), of the test rows; without rows the model only learns.
    """
    began = time.perf_counter()
    adapter = online_adapter(model, valid)
    size = adapter.settings.batch
    events = next_item_events(valid, outcomes)
    times = np.sort(outcomes.times, kind="stable")
    starts = range(0, len(events), size)
    ready = updates_before([times[start : start + size] for start in starts], query_times)
    summary = model.adaptation_summary = AdaptationSummary(
        explicit_events=sum(event.kind == "explicit" for event in events),
        disliked_events=sum(not event.liked for event in events),
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
        with torch.enable_grad():
            adapter.update_together(batch)
        summary.events += len(batch)
        summary.updates += 1
        summary.seconds += time.perf_counter() - began
    rows = np.flatnonzero(ready == len(starts))
    if len(rows):
        yield rows
