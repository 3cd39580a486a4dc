"""Prequential replay: each event tests the model first, and trains it then (Dawid, 1984).

for each event:   score it  →  update on it  →  let the user's history grow
before and after: the metric on old data; what is lost of it is forgetting
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
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
    """A model, and what its events mean; made anew for each method that is replayed."""

    model: nn.Module

    def loss(self, event: Any) -> EventLoss:
        """For learning: see OnlineAdapter."""

    def score(self, event: Any) -> float:
        """How well the model foretells `event`, which it has not learned from; higher is better."""

    def observe(self, event: Any) -> None:
        """Take `event` into what the model is given, such as the user's history; no learning."""

    def old(self) -> float:
        """The metric on old data, in the unit of `score`; higher is better."""


@dataclass(frozen=True, eq=False)
class ReplayResult:
    """One method's way through the stream."""

    method: str
    scores: np.ndarray  # (T,) float64, each before its event was learned
    milliseconds: np.ndarray  # (T,) float64, wall-clock, of each update
    selected: np.ndarray  # (T,) float64, share of the learned numbers that moved
    old_before: float
    old_after: float

    @property
    def forgetting(self) -> float:
        """What the stream has cost on old data; negative where it has helped."""
        return self.old_before - self.old_after


def standard_methods(
    settings: AdaptationSettings, update_fraction: float = 0.1, ewc: float = 1.0
) -> dict[str, AdaptationSettings | None]:
    """The four methods compared, alike but for the part that each is named after.

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
    """Replay `events` once for each method, each on a task of its own from `make_task`.

    None as settings means that the model does not learn; its histories grow all the same. `fisher`
    is for (33), from old data.
    """
    stream = list(events)
    return [replay(name, make_task(), stream, each, fisher) for name, each in methods.items()]


def replay(
    method: str,
    task: Task,
    events: Iterable[Any],
    settings: AdaptationSettings | None,
    fisher: Mapping[str, torch.Tensor] | None = None,
) -> ReplayResult:
    """Test on each event, then train on it: see `compare`. Changes the task's model."""
    adapter = None
    if settings is not None:
        adapter = OnlineAdapter(task.model, task.loss, settings, fisher)
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
