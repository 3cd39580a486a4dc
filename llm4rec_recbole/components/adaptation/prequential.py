"""Prequential adaptation and evaluation: each event first tests the model, then trains it (Dawid,
1984).

    time ──▶   e e e e │  e e e e │  e e e e │       validation items, in the order of their times
                  r    update r r   update  r update  test rows, each by its query time

`prequential_rows`: a test row is ranked by a model that has learned from validation items chosen
strictly before the row's query time, and from no other. The query time is just after the row's last
seen item, and at most the time of its held-out item (HeldOut.query_times). So nothing that happens
at or after the held-out interaction has any influence.

Items are learned `AdaptationSettings.batch` at once. An update counts as before a row if all of its
items do. Updates do not depend on the rows: a model that has passed all of them has the same
weights whether something was ranked in between or not.

`compare` replays events to methods of learning. For each event it scores, updates and extends the
history. The metric on old data is computed before and after: its decrease is forgetting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from llm4rec_recbole.components.adaptation.adapter import (
    AdaptationSettings,
    EventLoss,
    NextItemEvent,
    OnlineAdapter,
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
    explicit_events: int = 0  # with a rating
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

    model: as of `online_adapter`; `model.adaptation_summary` says what it learned. valid, outcomes:
    the validation items. query_times: (U,), of the test rows; without rows the model only learns.
    gradients: whether Eqs. (26–33) update the model; relations: they learn too, None for none.
    """
    began = time.perf_counter()
    size = model.adaptation.batch
    learners = [gradient_learner(model, valid)] if gradients else []
    events = next_item_events(valid, outcomes)
    times = np.sort(outcomes.times, kind="stable")
    if relations is not None:
        learners.append(relation_learner(relations))
        size = relation_update_size(len(events), relations.size, size)
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
    """Eqs. (26–33): one update of `model` for each batch of events."""
    adapter = online_adapter(model, valid)
    size = adapter.settings.batch

    def learn(events: Sequence[NextItemEvent]) -> None:
        with torch.enable_grad():
            for start in range(0, len(events), size):
                adapter.update(*events[start : start + size])

    return learn


def relation_learner(relations: RelationTerm) -> Learner:
    """Adds each event to the item relations, whether its user liked the item or not."""

    def learn(events: Sequence[NextItemEvent]) -> None:
        rows = [(event.user, event.history, event.item) for event in events]
        relations.learn(*zip(*rows))

    return learn


def relation_update_size(n_events: int, n_items: int, size: int) -> int:
    """The number of events in one update, where relations among `n_items` items learn.

    It is `size`. If that would take minutes, there are FEW_UPDATES, each at most the cost of a fit:
    k events cost about 12 k n² operations, a fit 2 n³.
    """
    if 12.0 * n_events * n_items**2 <= MOST_OPERATIONS:
        return size
    return max(size, -(-n_events // FEW_UPDATES))


class Task(Protocol):
    """A model and what its events mean. Each method is replayed on a task of its own."""

    model: nn.Module

    def losses(self, events: Sequence[Any]) -> list[EventLoss]:
        """The losses to learn from: see OnlineAdapter."""

    def score(self, event: Any) -> float:
        """How well the model predicts `event`; higher is better."""

    def observe(self, event: Any) -> None:
        """Add `event` to what the model reads, such as the user's history."""

    def old(self) -> float:
        """The metric on old data, in the unit of `score`."""


@dataclass(frozen=True, eq=False)
class ReplayResult:
    """What one method reached on the stream."""

    method: str
    scores: np.ndarray  # (T,) float64, each before the model learned its event
    milliseconds: np.ndarray  # (T,) float64, wall-clock, of each update
    selected: np.ndarray  # (T,) float64, fraction of the trainable numbers that moved
    old_before: float
    old_after: float

    @property
    def forgetting(self) -> float:
        """The decrease of the metric on old data; negative where it increased."""
        return self.old_before - self.old_after


def standard_methods(
    settings: AdaptationSettings, update_fraction: float = 0.1, ewc: float = 1.0
) -> dict[str, AdaptationSettings | None]:
    """The four methods to compare; each differs in the part that it is named after.

    frozen: no update; sgd: every parameter (26-28); selective: a fraction `update_fraction` of them
    (29-30); ewc: all of them, held back by `ewc` (33).
    """
    plain = replace(settings, update_fraction=1.0, ewc=0.0)
    return {
        "frozen": None,
        "sgd": plain,
        "selective": replace(plain, update_fraction=update_fraction),
        "ewc": replace(plain, ewc=ewc),
    }


def compare(
    make_task: Callable[[], Task],
    events: Iterable[Any],
    methods: Mapping[str, AdaptationSettings | None],
    fisher: Mapping[str, Tensor] | None = None,
) -> list[ReplayResult]:
    """Replay `events` once for each method, on a new task from `make_task`. Settings of None: the
    model does not learn, but its histories grow. fisher: F of (33), from old data."""
    stream = list(events)
    return [_replay(name, make_task(), stream, methods[name], fisher) for name in methods]


def _replay(
    method: str,
    task: Task,
    events: list[Any],
    settings: AdaptationSettings | None,
    fisher: Mapping[str, Tensor] | None,
) -> ReplayResult:
    adapter = None
    if settings is not None:
        adapter = OnlineAdapter(task.model, task.losses, settings, fisher)
    task.model.eval()
    before = _without_gradients(task.old)
    scores, milliseconds, selected = [], [], []
    for event in events:
        scores.append(_without_gradients(task.score, event))
        began = time.perf_counter()
        selected.append(adapter.update(event).selected if adapter else 0.0)
        milliseconds.append(1000 * (time.perf_counter() - began))
        task.observe(event)
    return ReplayResult(
        method,
        np.array(scores),
        np.array(milliseconds),
        np.array(selected),
        before,
        _without_gradients(task.old),
    )


def _without_gradients(measure: Callable[..., float], *given: Any) -> float:
    with torch.no_grad():
        return float(measure(*given))
