"""Adaptation (Eqs. 26–33) between validation and test: one event at a time, as they would arrive.

Only what the protocol lets a method see before the test is learned from: each user's validation
item, in the order of the users' last interactions. Every model may *read* that item as part of the
history at test time; one that adapts also moves its parameters by it, which the tables say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from llm4rec_recbole.components.adaptation.adapter import (
    AdaptationSettings,
    EventLoss,
    OnlineAdapter,
    Update,
)
from llm4rec_recbole.components.adaptation.equations import fisher_diagonal
from llm4rec_recbole.data.held_out import HeldOut

FISHER_EXAMPLES = 200  # histories whose last step tells how much a parameter matters (33)


class NextItemEvent(NamedTuple):
    """A user goes on from a history to an item; internal ids."""

    user: int
    history: np.ndarray  # (S,) int64, oldest first
    item: int
    kind: str = "implicit"  # or "explicit"
    liked: bool = True  # False: the item was a mistake, and should have been less likely
    query_time: float | None = (
        None  # only what is dated before may be retrieved; None retrieves nothing
    )


def query_time(times: np.ndarray, before: float = np.inf) -> float:
    """The moment after `times` (S,), of a history, when the ranking asks; `before` where earlier:
    nothing dated at or after an event may tell of it."""
    return min(float(np.nextafter(times.max(), np.inf)), before)


class AdaptiveModel(Protocol):
    """A model that can learn from single steps."""

    adaptation: AdaptationSettings

    def event_loss(self, step: NextItemEvent) -> EventLoss:
        """The loss of `step`, through the parameters that may move."""

    def fix_content(self) -> None:
        """Compute once, for all steps to come, what no step changes."""


def next_item_events(held_out: HeldOut, known: int = 0) -> Iterator[NextItemEvent]:
    """The rows of `held_out` by when their last item was seen; with `known` = 1 the step to that
    last item instead, which was there before the held-out one."""
    last_seen = held_out.times[held_out.indptr[1:] - 1]
    for row in np.argsort(last_seen, kind="stable"):
        span = slice(held_out.indptr[row], held_out.indptr[row + 1])
        user, seen, times = int(held_out.users[row]), held_out.items[span], held_out.times[span]
        if known and len(seen) > 1:
            when = query_time(times[:-1], float(times[-1]))
            yield NextItemEvent(user, seen[:-1], int(seen[-1]), query_time=when)
        elif not known:
            yield NextItemEvent(
                user, seen, int(held_out.targets[row]), query_time=query_time(times)
            )


def online_adapter(
    model: Any, held_out: HeldOut, loss: Callable[[Any], EventLoss] | None = None
) -> OnlineAdapter:
    """An adapter of `model`, an Adaptive, as it is set; F of (33) is that of `held_out`'s past.

    loss: of what the adapter will be given, where that is no Step.
    """
    model.eval()
    model.fix_content()
    settings: AdaptationSettings = model.adaptation
    importance = fisher_information(model, held_out) if settings.ewc else None
    return OnlineAdapter(model, loss or model.event_loss, settings, importance)


def fisher_information(model: Any, held_out: HeldOut) -> dict[str, torch.Tensor]:
    """F of (33), by the last steps before those of `held_out`."""
    past = list(next_item_events(held_out, known=1))[-FISHER_EXAMPLES:]
    return fisher_diagonal(model, lambda step: model.event_loss(step).loss, past)


def adapt(model: Any, held_out: HeldOut) -> list[Update]:
    """Let `model` learn, in place, from each held-out item in turn; what each update changed."""
    with torch.enable_grad():
        adapter = online_adapter(model, held_out)
        return [adapter.update(step) for step in next_item_events(held_out)]
