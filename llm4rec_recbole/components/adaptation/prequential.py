"""Prequential evaluation: each event first tests the model, then trains it (Dawid, 1984).

for each event:   score it  →  update on it  →  extend the user's history
before and after: the metric on old data; its decrease is forgetting
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from llm4rec_recbole.components.adaptation.adapter import (
    AdaptationSettings,
    EventLoss,
    OnlineAdapter,
)


class Task(Protocol):
    """A model and what its events mean. Each method is replayed on a task of its own."""

    model: nn.Module

    def losses(self, events: Sequence[Any]) -> list[EventLoss]:
        """The losses to learn from: see OnlineAdapter."""

    def score(self, event: Any) -> float:
        """How well the model predicts `event` before it learns from it; higher is better."""

    def observe(self, event: Any) -> None:
        """Add `event` to what the model reads, such as the user's history; nothing is learned."""

    def old(self) -> float:
        """The metric on old data, in the unit of `score`; higher is better."""


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
    """Return the four methods to compare; each differs in the part that it is named after.

    frozen: no update; sgd: every parameter (26-28); selective: a fraction
    `update_fraction` of them (29-30); ewc: all of them, held back by `ewc` (33).
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
    fisher: Mapping[str, torch.Tensor] | None = None,
) -> list[ReplayResult]:
    """Replay `events` once for settings method, settings on a new task from `make_task`.

    Settings of None: the model does not learn, but its histories grow. fisher: F of (33), from old
    data.
    """
    stream = list(events)
    return [
        replay(name, make_task(), stream, settings, fisher) for name, settings in methods.items()
    ]


def replay(
    method: str,
    task: Task,
    events: Iterable[Any],
    settings: AdaptationSettings | None,
    fisher: Mapping[str, torch.Tensor] | None = None,
) -> ReplayResult:
    """Test on each event, then train on it: see `compare`. The task's model is changed."""
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
