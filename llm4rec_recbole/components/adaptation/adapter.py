"""Learning from one event at a time: Eqs. 26-33 put together, for any model.

    NextItemEvent ─▶ model.event_loss ─▶ EventLoss ─▶ OnlineAdapter.update ─▶ Update

`adapt` applies it between validation and test: a model learns from each user's validation item, in
the order of the users' last interactions. The protocol lets every model *read* that item at test
time, as part of the history. A model that adapts also moves its parameters, as the tables say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

from llm4rec_recbole.components.adaptation.equations import (
    feedback_weights,
    fisher_diagonal,
    learning_rate,
    momentum_velocity,
    reliability,
    select_entries,
    sgd_step,
)
from llm4rec_recbole.components.adaptation.events import KINDS
from llm4rec_recbole.data.held_out import HeldOut

FISHER_EXAMPLES = 200  # histories whose last interactions estimate F of Eq. 33


class EventLoss(NamedTuple):
    """A model's loss of one event, before it learns from the event."""

    loss: torch.Tensor  # scalar, the negative log-likelihood of what happened
    kind: str  # "explicit" or "implicit"
    baseline_loss: float  # the loss of a uniform prediction, such as log n_items; above 0
    uncertainty: float = 0.0  # of the prediction, for Eq. 28; such as normalised_entropy


class Update(NamedTuple):
    """What one event changed."""

    loss: float  # before the update
    rate: float  # the learning rate of Eq. 28
    weight: float  # α or β of Eq. 31, by the event's kind
    selected: float  # fraction of all trainable numbers that moved


@dataclass(frozen=True)
class AdaptationSettings:
    """How an OnlineAdapter learns; the defaults are plain SGD with momentum."""

    rate: float = 0.01  # η_0 (28), per event
    momentum: float = 0.9  # μ (26), 0 to 1
    uncertainty_decay: float = 0.0  # λ (28), 0 ignores uncertainty
    update_fraction: float = 1.0  # of a tensor's gradient entries that pass τ (30), in (0, 1]
    regularisation: float = 0.0  # γ (31): L_reg = |θ − θ*|² / 2
    ewc: float = 0.0  # λ (33)
    memory: float = 0.99  # decay of the mean losses behind the reliabilities (32), 0 to 1


class OnlineAdapter:
    """Updates a model in place on each event: Eqs. 26-33, for any module and loss.

    loss(event): runs the model and returns an EventLoss. fisher: F of (33) by parameter name, as
    fisher_diagonal returns it; θ* is the model as it is now. The model is set to evaluation mode:
    with dropout, a replayed event would not give the same update. Parameters that do not require
    gradients do not change. Raises ValueError for settings out of range, and for `ewc` without
    `fisher`.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Any], EventLoss],
        settings: AdaptationSettings | None = None,
        fisher: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        self.model, self.loss = model.eval(), loss
        self.settings = settings or AdaptationSettings()
        if not 0 < self.settings.update_fraction <= 1 or not 0 <= self.settings.momentum < 1:
            message = "update_fraction must be above 0 and at most 1, momentum from 0 to below 1"
            raise ValueError(message)
        if self.settings.ewc and fisher is None:
            raise ValueError("ewc needs the Fisher diagonal")
        self._trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._velocity = {n: torch.zeros_like(p) for n, p in self._trainable.items()}
        self._anchor: dict[str, torch.Tensor] = {}
        self._pull: dict[str, torch.Tensor] = {}  # γ + λ F
        if self.settings.regularisation or self.settings.ewc:
            self._anchor = {n: p.detach().clone() for n, p in self._trainable.items()}
            for name, parameter in self._trainable.items():
                weight = fisher[name] if fisher else torch.zeros_like(parameter)
                self._pull[name] = self.settings.regularisation + self.settings.ewc * weight
        self.mean_loss: dict[str, float] = {}  # by kind, over the baseline loss
        self.events = 0

    def weights(self) -> dict[str, float]:
        """Return α and β (32) by kind: one half each until both kinds were seen."""
        if set(self.mean_loss) != set(KINDS):
            return dict.fromkeys(KINDS, 0.5)
        explicit, implicit = (reliability(self.mean_loss[kind], 1.0) for kind in KINDS)
        return dict(zip(KINDS, feedback_weights(explicit, implicit)))

    def update(self, event: Any) -> Update:
        """Learn from `event`. Raises FloatingPointError, with nothing changed, for a loss or a
        gradient that is not finite."""
        self._clear_gradients()
        result = self.loss(event)
        weight = self.weights()[result.kind]
        rate = learning_rate(
            self.settings.rate, self.settings.uncertainty_decay, result.uncertainty
        )
        (weight * result.loss).backward()
        gradients = {n: p.grad for n, p in self._trainable.items() if p.grad is not None}
        sums = [result.loss.detach(), *(g.sum() for g in gradients.values())]
        if not all(math.isfinite(total) for total in sums):
            self._clear_gradients()
            raise FloatingPointError("the loss or its gradient is not finite")
        moved = sum(self._move(name, gradient, rate) for name, gradient in gradients.items())
        self._clear_gradients()
        loss = float(result.loss.detach())
        self._track_mean_loss(result.kind, loss / result.baseline_loss)
        self.events += 1
        total = sum(p.numel() for p in self._trainable.values())
        return Update(loss, rate, weight, moved / total if total else 0.0)

    def _clear_gradients(self) -> None:
        """Clear those of trainable parameters: a walk over all modules takes milliseconds."""
        for parameter in self._trainable.values():
            parameter.grad = None

    @torch.no_grad()
    def _move(self, name: str, gradient: torch.Tensor, rate: float) -> int:
        """Update one parameter; return how many of its entries were selected."""
        parameter, velocity = self._trainable[name], self._velocity[name]
        if self._anchor:  # the gradient of γ L_reg and of Eq. 33
            gradient = gradient + self._pull[name] * (parameter - self._anchor[name])
        momentum = self.settings.momentum
        if self.settings.update_fraction == 1:
            sgd_step(parameter, momentum_velocity(velocity, gradient, momentum), rate)
            return parameter.numel()
        chosen = select_entries(gradient, self.settings.update_fraction)
        step = gradient  # what (26) gives without momentum
        if momentum:
            step = momentum_velocity(velocity.clone(), gradient, momentum)
            velocity.copy_(torch.where(chosen, step, velocity))
        sgd_step(parameter, step.masked_fill(~chosen, 0), rate)
        return int(chosen.count_nonzero())

    def _track_mean_loss(self, kind: str, relative: float) -> None:
        decay = self.settings.memory
        before = self.mean_loss.get(kind, relative)
        self.mean_loss[kind] = decay * before + (1 - decay) * relative

    def state_dict(self) -> dict[str, Any]:
        """Return all that an interrupted adapter needs to continue, for checkpoints.save: settings,
        trainable parameters, velocities, θ*, γ + λF, mean losses.

        Frozen parameters are left out, so a snapshot of a large model stays small.
        """
        return {
            "settings": asdict(self.settings),
            "parameters": {name: p.detach() for name, p in self._trainable.items()},
            "velocity": self._velocity,
            "anchor": self._anchor,
            "pull": self._pull,
            "mean_loss": self.mean_loss,
            "events": self.events,
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`. Raises ValueError for a state of other settings or another
        model."""
        if state["settings"] != asdict(self.settings):
            raise ValueError(f"the state was made with other settings: {state['settings']}")
        own_shapes, saved_shapes = (
            {name: tensor.shape for name, tensor in tensors.items()}
            for tensors in (self._trainable, state["parameters"])
        )
        if own_shapes != saved_shapes:
            raise ValueError("the state is of another model")
        for name, parameter in self._trainable.items():
            parameter.copy_(state["parameters"][name])
            self._velocity[name].copy_(state["velocity"][name])
        self._anchor = {n: t.to(self._trainable[n].device) for n, t in state["anchor"].items()}
        self._pull = {n: t.to(self._trainable[n].device) for n, t in state["pull"].items()}
        self.mean_loss, self.events = dict(state["mean_loss"]), state["events"]


# Adaptation between validation and test


class NextItemEvent(NamedTuple):
    """A user chooses an item after a history; internal ids."""

    user: int
    history: np.ndarray  # (S,) int64, oldest first
    item: int
    kind: str = "implicit"  # or "explicit"
    liked: bool = True  # False: the item should have been less likely
    query_time: float | None = None  # retrieval sees earlier entries only; None: no retrieval


def query_time(times: np.ndarray, before: float = np.inf) -> float:
    """Return the time of a ranking: just after the last of `times` (S,), at most `before`.

    Nothing dated at or after the event itself may influence its ranking.
    """
    return min(float(np.nextafter(times.max(), np.inf)), before)


class AdaptiveModel(Protocol):
    """A model that can learn from single events."""

    adaptation: AdaptationSettings

    def event_loss(self, event: NextItemEvent) -> EventLoss:
        """The loss of `event`, as a function of the trainable parameters."""

    def fix_content(self) -> None:
        """Compute once what no event changes."""


def next_item_events(held_out: HeldOut) -> Iterator[NextItemEvent]:
    """Yield the rows of `held_out` by the time of their last seen item, as events."""
    for user, seen, times, target in _rows_by_time(held_out):
        yield NextItemEvent(user, seen, target, query_time=query_time(times))


def last_seen_events(held_out: HeldOut) -> Iterator[NextItemEvent]:
    """Yield, in the same order, the events in which the histories' last items were chosen."""
    for user, seen, times, _ in _rows_by_time(held_out):
        if len(seen) > 1:
            when = query_time(times[:-1], float(times[-1]))
            yield NextItemEvent(user, seen[:-1], int(seen[-1]), query_time=when)


def _rows_by_time(held_out: HeldOut) -> Iterator[tuple[int, np.ndarray, np.ndarray, int]]:
    last_seen = held_out.times[held_out.indptr[1:] - 1]
    for row in np.argsort(last_seen, kind="stable"):
        span = slice(held_out.indptr[row], held_out.indptr[row + 1])
        user, target = int(held_out.users[row]), int(held_out.targets[row])
        yield user, held_out.items[span], held_out.times[span], target


def online_adapter(
    model: Any, held_out: HeldOut, loss: Callable[[Any], EventLoss] | None = None
) -> OnlineAdapter:
    """Return an adapter of `model`, an AdaptiveModel, with the model's settings.

    held_out: its histories estimate F of (33). loss: for events that are no NextItemEvent.
    """
    model.eval()
    model.fix_content()
    settings: AdaptationSettings = model.adaptation
    fisher = fisher_information(model, held_out) if settings.ewc else None
    return OnlineAdapter(model, loss or model.event_loss, settings, fisher)


def fisher_information(model: Any, held_out: HeldOut) -> dict[str, torch.Tensor]:
    """Return F of (33) from the last events before those of `held_out`."""
    past = list(last_seen_events(held_out))[-FISHER_EXAMPLES:]
    return fisher_diagonal(model, lambda event: model.event_loss(event).loss, past)


def adapt(model: Any, held_out: HeldOut) -> list[Update]:
    """Let `model` learn, in place, from each held-out item in turn; return each update."""
    with torch.enable_grad():
        adapter = online_adapter(model, held_out)
        return [adapter.update(event) for event in next_item_events(held_out)]
