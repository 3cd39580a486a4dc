"""Learning from one feedback event at a time (Eqs. 26-33 put together), for any model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from llm4rec_recbole.components.adaptation.equations import (
    feedback_weights,
    learning_rate,
    momentum_velocity,
    reliability,
    select_entries,
    sgd_step,
)
from llm4rec_recbole.components.adaptation.events import KINDS


class EventLoss(NamedTuple):
    """What a model makes of one event, before it learns from it."""

    loss: torch.Tensor  # scalar, the negative log-likelihood of what happened
    kind: str  # "explicit" or "implicit"
    baseline_loss: float  # the loss of one who knows nothing, e.g. log n_items; above 0
    uncertainty: float = 0.0  # of the prediction, for Eq. 28; e.g. normalised_entropy


class Update(NamedTuple):
    """What one event changed."""

    loss: float  # before the update
    rate: float  # the learning rate of Eq. 28
    weight: float  # α or β of Eq. 31, whichever is the event's
    selected: float  # share of all learned numbers that moved


@dataclass(frozen=True)
class AdaptationSettings:
    """How an OnlineAdapter learns; the defaults are plain SGD with momentum."""

    rate: float = 0.01  # η_0 (28), per event
    momentum: float = 0.9  # μ (26), 0 to 1
    uncertainty_decay: float = 0.0  # λ (28), 0 ignores uncertainty
    update_fraction: float = 1.0  # of a tensor's gradient entries that pass τ (30), above 0 to 1
    regularisation: float = 0.0  # γ (31): L_reg = |θ − θ*|² / 2
    ewc: float = 0.0  # λ (33)
    memory: float = 0.99  # of the mean losses behind the reliabilities (32), 0 to 1


class OnlineAdapter:
    """Updates a model in place on each event: Eqs. 26-33, for any module and loss.

    loss(event) runs the model and returns an EventLoss. The model is put into evaluation mode: with
    dropout, an event would not give the same update when it is replayed. Parameters that do not
    require gradients stay as they are. `fisher` is F of (33) by parameter name, as fisher_diagonal
    returns it, and θ* is the model as it is now. Raises ValueError for settings out of range, or
    for `ewc` without `fisher`.
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
            raise ValueError(
                "update_fraction must be above 0 and at most 1, momentum from 0 to below 1"
            )
        if self.settings.ewc and fisher is None:
            raise ValueError("ewc needs the Fisher diagonal")
        self._learned = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._velocity = {n: torch.zeros_like(p) for n, p in self._learned.items()}
        self._anchor: dict[str, torch.Tensor] = {}
        self._pull: dict[str, torch.Tensor] = {}  # γ + λ F
        if self.settings.regularisation or self.settings.ewc:
            self._anchor = {n: p.detach().clone() for n, p in self._learned.items()}
            for name, parameter in self._learned.items():
                weight = fisher[name] if fisher else torch.zeros_like(parameter)
                self._pull[name] = self.settings.regularisation + self.settings.ewc * weight
        self.mean_loss: dict[str, float] = {}  # by kind, over its chance: 1 is chance
        self.events = 0

    def weights(self) -> dict[str, float]:
        """α and β (32), by kind: one half each until both kinds were seen."""
        if set(self.mean_loss) != set(KINDS):
            return dict.fromkeys(KINDS, 0.5)
        found = (reliability(self.mean_loss[kind], 1.0) for kind in KINDS)
        return dict(zip(KINDS, feedback_weights(*found)))

    def update(self, event: Any) -> Update:
        """Learn from `event`. Raises FloatingPointError, with nothing changed, for a loss or a
        gradient that is not finite."""
        self._forget_gradients()
        judged = self.loss(event)
        weight = self.weights()[judged.kind]
        rate = learning_rate(
            self.settings.rate, self.settings.uncertainty_decay, judged.uncertainty
        )
        (weight * judged.loss).backward()
        gradients = {n: p.grad for n, p in self._learned.items() if p.grad is not None}
        sums = [judged.loss.detach(), *(g.sum() for g in gradients.values())]
        if not all(math.isfinite(total) for total in sums):
            self._forget_gradients()
            raise FloatingPointError("the loss or its gradient is not finite")
        moved = sum(self._move(name, gradient, rate) for name, gradient in gradients.items())
        self._forget_gradients()
        loss = float(judged.loss.detach())
        self._remember(judged.kind, loss / judged.baseline_loss)
        self.events += 1
        total = sum(p.numel() for p in self._learned.values())
        return Update(loss, rate, weight, moved / total if total else 0.0)

    def _forget_gradients(self) -> None:
        """Of what learns: a walk over all modules, frozen layers too, takes milliseconds."""
        for parameter in self._learned.values():
            parameter.grad = None

    @torch.no_grad()
    def _move(self, name: str, gradient: torch.Tensor, rate: float) -> int:
        """Update one parameter; how many of its entries were selected."""
        parameter, velocity = self._learned[name], self._velocity[name]
        if self._anchor:  # the gradient of γ L_reg and of Eq. 33
            gradient = gradient + self._pull[name] * (parameter - self._anchor[name])
        momentum = self.settings.momentum
        if self.settings.update_fraction == 1:
            sgd_step(parameter, momentum_velocity(velocity, gradient, momentum), rate)
            return parameter.numel()
        chosen = select_entries(gradient, self.settings.update_fraction)
        moving = gradient  # which (26) comes to without momentum
        if momentum:
            moving = momentum_velocity(velocity.clone(), gradient, momentum)
            velocity.copy_(torch.where(chosen, moving, velocity))
        sgd_step(parameter, moving.masked_fill(~chosen, 0), rate)
        return int(chosen.count_nonzero())

    def _remember(self, kind: str, relative: float) -> None:
        keep = self.settings.memory
        before = self.mean_loss.get(kind, relative)
        self.mean_loss[kind] = keep * before + (1 - keep) * relative

    def state_dict(self) -> dict[str, Any]:
        """All it takes to go on as if never stopped: settings, the learned parameters, velocities,
        θ*, F and losses, as tensors, numbers and strings, which training.checkpoint can save.

        What is frozen is left out, so that a snapshot of a large model stays small.
        """
        return {
            "settings": asdict(self.settings),
            "parameters": {name: p.detach() for name, p in self._learned.items()},
            "velocity": self._velocity,
            "anchor": self._anchor,
            "pull": self._pull,
            "mean_loss": self.mean_loss,
            "events": self.events,
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`. Raises ValueError when it is of other settings or another model."""
        if state["settings"] != asdict(self.settings):
            raise ValueError(f"the state was made with other settings: {state['settings']}")
        shapes = [
            {n: t.shape for n, t in each.items()} for each in (self._learned, state["parameters"])
        ]
        if shapes[0] != shapes[1]:
            raise ValueError("the state is of another model")
        for name, parameter in self._learned.items():
            parameter.copy_(state["parameters"][name])
            self._velocity[name].copy_(state["velocity"][name])
        self._anchor = {n: t.to(self._learned[n].device) for n, t in state["anchor"].items()}
        self._pull = {n: t.to(self._learned[n].device) for n, t in state["pull"].items()}
        self.mean_loss, self.events = dict(state["mean_loss"]), state["events"]
