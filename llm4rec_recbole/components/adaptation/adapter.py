"""Learning from one event at a time: Eqs. 26-33 put together, for any model.

    NextItemEvent ─▶ model.event_losses ─▶ EventLoss ─▶ OnlineAdapter.update ─▶ Update

prequential.py applies it to the test: the model learns from validation items between two rankings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from llm4rec_recbole.components.adaptation import equations
from llm4rec_recbole.components.adaptation.events import KINDS
from llm4rec_recbole.data.held_out import HeldOut, Outcomes

FISHER_EXAMPLES = 100  # histories whose last interactions estimate F of Eq. 33


class EventLoss(NamedTuple):
    """A model's loss of one event, before it learns from the event."""

    loss: Tensor  # scalar, the negative log-likelihood of what happened
    kind: str  # "explicit" or "implicit"
    baseline_loss: float  # the loss of a uniform prediction, such as log n_items; above 0
    uncertainty: float = 0.0  # of the prediction, for Eq. 28; such as normalised_entropy


class Update(NamedTuple):
    """What one event changed, or the means over several that are learned in one step."""

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
    batch: int = 1  # events in one step of `OnlineAdapter.update`, where there are many


Fisher = Mapping[str, Tensor]  # F of (33) by parameter name


class OnlineAdapter:
    """Updates a model in place on each event: Eqs. 26-33, for any module and loss.

    losses(events): runs the model and returns an EventLoss for each event. fisher: F of (33) by
    parameter name, or a function that returns it, which is called at the first update unless
    `load_state_dict` has restored F. θ* is the model before the first update. The model is set to
    evaluation mode: with dropout, a replayed event would not give the same update. Parameters that
    do not require gradients do not change. Raises ValueError for settings out of range, and for
    `ewc` without `fisher`.
    """

    def __init__(
        self,
        model: nn.Module,
        losses: Callable[[Sequence[Any]], list[EventLoss]],
        settings: AdaptationSettings | None = None,
        fisher: Fisher | Callable[[], Fisher] | None = None,
    ) -> None:
        self.model, self.losses = model.eval(), losses
        self.settings = settings or AdaptationSettings()
        if not 0 < self.settings.update_fraction <= 1 or not 0 <= self.settings.momentum < 1:
            message = "update_fraction must be above 0 and at most 1, momentum from 0 to below 1"
            raise ValueError(message)
        if self.settings.ewc and fisher is None:
            raise ValueError("ewc needs the Fisher diagonal")
        self._trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._velocity = {n: torch.zeros_like(p) for n, p in self._trainable.items()}
        self._fisher = fisher
        self._anchor: dict[str, Tensor] = {}  # θ*; empty before the first update
        self._pull: dict[str, Tensor] = {}  # γ + λ F, the same
        self.mean_loss: dict[str, float] = {}  # by kind, over the baseline loss
        self.events = 0
        if not callable(fisher):
            self._set_anchor()

    def weights(self) -> dict[str, float]:
        """Return α and β (32) by kind: one half each until both kinds were seen."""
        if set(self.mean_loss) != set(KINDS):
            return dict.fromkeys(KINDS, 0.5)
        explicit, implicit = (equations.reliability(self.mean_loss[kind], 1.0) for kind in KINDS)
        return dict(zip(KINDS, equations.feedback_weights(explicit, implicit)))

    def update(self, *events: Any) -> Update:
        """Learn from `events` in one step: the sum of their losses, at their mean uncertainty.

        Raises FloatingPointError, with nothing changed, for a loss or a gradient that is not
        finite.
        """
        self._set_anchor()
        self._clear_gradients()
        results = self.losses(events)
        weights = self.weights()
        weighted = [weights[result.kind] * result.loss for result in results]
        uncertainty = sum(result.uncertainty for result in results) / len(results)
        rate = equations.learning_rate(
            self.settings.rate, self.settings.uncertainty_decay, uncertainty
        )
        total = torch.stack(weighted).sum()
        total.backward()
        gradients = {n: p.grad for n, p in self._trainable.items() if p.grad is not None}
        sums = [total.detach(), *(g.sum() for g in gradients.values())]
        if not all(math.isfinite(value) for value in sums):
            self._clear_gradients()
            raise FloatingPointError("the loss or its gradient is not finite")
        moved = sum(self._move(name, gradient, rate) for name, gradient in gradients.items())
        self._clear_gradients()
        losses = [float(result.loss.detach()) for result in results]
        memory = self.settings.memory
        for result, loss in zip(results, losses):
            relative = loss / result.baseline_loss
            before = self.mean_loss.get(result.kind, relative)
            self.mean_loss[result.kind] = memory * before + (1 - memory) * relative
        self.events += len(results)
        return Update(
            loss=sum(losses) / len(losses),
            rate=rate,
            weight=sum(weights[result.kind] for result in results) / len(results),
            selected=moved / max(1, sum(p.numel() for p in self._trainable.values())),
        )

    def _set_anchor(self) -> None:
        """Set θ* and γ + λ F before the first update, where the settings need them."""
        if self._anchor or not (self.settings.regularisation or self.settings.ewc):
            return
        self._anchor = {n: p.detach().clone() for n, p in self._trainable.items()}
        fisher = self._fisher() if callable(self._fisher) else self._fisher
        for name, parameter in self._trainable.items():
            weight = fisher[name] if fisher else torch.zeros_like(parameter)
            self._pull[name] = self.settings.regularisation + self.settings.ewc * weight

    def _clear_gradients(self) -> None:
        """Clear the trainable parameters' gradients; a walk over all modules takes milliseconds."""
        for parameter in self._trainable.values():
            parameter.grad = None

    @torch.no_grad()
    def _move(self, name: str, gradient: Tensor, rate: float) -> int:
        """Update one parameter; return how many of its entries were selected."""
        parameter, velocity = self._trainable[name], self._velocity[name]
        if self._anchor:  # the gradient of γ L_reg and of Eq. 33
            gradient = gradient + self._pull[name] * (parameter - self._anchor[name])
        momentum = self.settings.momentum
        if self.settings.update_fraction == 1:
            equations.sgd_step(
                parameter, equations.momentum_velocity(velocity, gradient, momentum), rate
            )
            return parameter.numel()
        chosen = equations.select_entries(gradient, self.settings.update_fraction)
        step = gradient  # what (26) gives without momentum
        if momentum:
            step = equations.momentum_velocity(velocity.clone(), gradient, momentum)
            velocity.copy_(torch.where(chosen, step, velocity))
        equations.sgd_step(parameter, step.masked_fill(~chosen, 0), rate)
        return int(chosen.count_nonzero())

    def state_dict(self) -> dict[str, Any]:
        """All that an interrupted adapter needs to continue, for checkpoints.save. Frozen
        parameters are left out, so a snapshot of a large model stays small."""
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
        """Continue from `state`. Raises ValueError for other settings or another model."""
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


# Events of held-out items


class NextItemEvent(NamedTuple):
    """A user chooses an item after a history; internal ids."""

    user: int
    history: np.ndarray  # (S,) int64, oldest first
    item: int
    kind: str = "implicit"  # or "explicit"
    liked: bool = True  # False: the item should have been less likely
    query_time: float | None = None  # retrieval sees earlier entries only; None: no retrieval


def query_time(times: np.ndarray, before: float = np.inf) -> float:
    """The time of a ranking: just after the last of `times` (S,), at most `before`. Nothing dated
    at or after the event itself may influence its ranking."""
    return min(float(np.nextafter(times.max(), np.inf)), before)


def next_item_events(held_out: HeldOut, outcomes: Outcomes) -> list[NextItemEvent]:
    """The rows of `held_out` as events, in the order in which their items were chosen. Ratings make
    explicit feedback, other interactions are implicit."""
    times = held_out.query_times(outcomes.times)
    return [
        NextItemEvent(
            user=int(held_out.users[row]),
            history=held_out.history(row)[0],
            item=int(held_out.targets[row]),
            kind="implicit" if outcomes.liked is None else "explicit",
            liked=outcomes.liked is None or bool(outcomes.liked[row]),
            query_time=float(times[row]),
        )
        for row in np.argsort(outcomes.times, kind="stable").tolist()
    ]


def last_seen_events(held_out: HeldOut) -> list[NextItemEvent]:
    """Return the events in which the histories' last items were chosen, by their times."""
    last_seen = held_out.last_times()
    events = []
    for row in np.argsort(last_seen, kind="stable").tolist():
        seen, times = held_out.history(row)
        if len(seen) > 1:
            when = query_time(times[:-1], float(times[-1]))
            user, item = int(held_out.users[row]), int(seen[-1])
            events.append(NextItemEvent(user, seen[:-1], item, query_time=when))
    return events


def online_adapter(
    model: Any,
    held_out: HeldOut,
    losses: Callable[[Sequence[Any]], list[EventLoss]] | None = None,
    fisher: Fisher | None = None,
) -> OnlineAdapter:
    """An adapter of a model that can learn from single events.

    model: has three members. `adaptation` is its AdaptationSettings. `event_losses(events)` is an
    EventLoss for each NextItemEvent, a function of the trainable parameters. `fix_content()`
    computes once what no event changes.
    losses: for events that are no NextItemEvent. fisher: F of (33) where it was computed before;
    otherwise the histories of `held_out` estimate it.
    """
    model.eval()
    model.fix_content()
    settings: AdaptationSettings = model.adaptation
    compute = partial(fisher_information, model, held_out) if settings.ewc else None
    return OnlineAdapter(model, losses or model.event_losses, settings, fisher or compute)


def fisher_information(model: Any, held_out: HeldOut) -> dict[str, Tensor]:
    """Return F of (33) from the last events before `held_out`; zeros without an event.
    Sets the model to evaluation mode, and fixes its content."""
    model.eval()
    model.fix_content()
    past = last_seen_events(held_out)[-FISHER_EXAMPLES:]
    if not past:  # every history has one item: there is nothing to preserve
        learned = ((name, p) for name, p in model.named_parameters() if p.requires_grad)
        return {name: torch.zeros_like(parameter) for name, parameter in learned}
    with torch.enable_grad():
        return equations.fisher_diagonal(
            model, lambda event: model.event_losses([event])[0].loss, past
        )
