"""The adapter does what Eqs. 26-33 say, event by event, and resumes to the last bit."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from llm4rec_recbole import checkpoints
from llm4rec_recbole.components.adaptation.adapter import (
    AdaptationSettings,
    EventLoss,
    OnlineAdapter,
)
from llm4rec_recbole.components.adaptation.equations import (
    combined_loss,
    ewc_penalty,
    select_entries,
)

EVERYTHING = AdaptationSettings(
    rate=0.1, momentum=0.5, uncertainty_decay=1.0, update_fraction=0.3, regularisation=0.2, ewc=3.0
)


def make(settings=None, with_fisher=True, seed=0):
    """A classifier of 4 answers; an event is (x, answer, kind, uncertainty)."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 4)).double()

    def loss(event):
        x, answer, kind, uncertainty = event
        value = functional.cross_entropy(model(x), torch.tensor(answer))
        return EventLoss(value, kind, math.log(4), uncertainty)

    def losses(several):
        return [loss(event) for event in several]

    return OnlineAdapter(model, losses, settings, fisher_of(model) if with_fisher else None)


def fisher_of(model):
    torch.manual_seed(1)
    return {name: torch.rand_like(p) for name, p in model.named_parameters()}


def events(n=6, kinds=("explicit", "implicit")):
    random = np.random.default_rng(0)
    return [
        (
            torch.from_numpy(random.normal(size=3)),
            int(random.integers(4)),
            kinds[k % len(kinds)],
            0.3,
        )
        for k in range(n)
    ]


def weights_of(adapter):
    return {name: p.detach().clone() for name, p in adapter.model.named_parameters()}


def test_the_defaults_are_torchs_sgd_with_momentum():
    adapter = make()
    model = make().model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for event in events(kinds=("explicit",)):
        adapter.update(event)
        optimizer.zero_grad()
        (0.5 * functional.cross_entropy(model(event[0]), torch.tensor(event[1]))).backward()
        optimizer.step()
    torch.testing.assert_close(weights_of(adapter), dict(model.named_parameters()))


def test_one_update_is_the_equations_put_together():
    adapter, twin = make(EVERYTHING), make(EVERYTHING)
    start = weights_of(adapter)
    first, second = events(2)
    adapter.update(first)
    twin.update(first)
    velocity = {name: v.clone() for name, v in twin._velocity.items()}
    middle = weights_of(twin)

    parameters = dict(twin.model.named_parameters())
    own = twin.losses([second])[0].loss
    near = sum((p - start[n]).square().sum() / 2 for n, p in parameters.items())
    alpha, beta = (twin.weights()[kind] for kind in ("explicit", "implicit"))
    total = combined_loss(torch.tensor(0.0), own, near, (alpha, beta), 0.2)
    total = total + ewc_penalty(parameters, start, fisher_of(twin.model), 3.0)
    gradients = torch.autograd.grad(total, list(parameters.values()))
    rate = 0.1 * math.exp(-0.3)
    done = adapter.update(second)
    assert done.rate == pytest.approx(rate)
    assert done.weight == pytest.approx(beta)
    assert done.loss == pytest.approx(own.item())
    moved = 0
    for (name, after), gradient in zip(weights_of(adapter).items(), gradients):
        chosen = select_entries(gradient, 0.3)
        step = rate * (0.5 * velocity[name] + gradient)
        torch.testing.assert_close(after, torch.where(chosen, middle[name] - step, middle[name]))
        assert torch.equal(after[~chosen], middle[name][~chosen])
        moved += int(chosen.sum())
    assert done.selected == pytest.approx(moved / sum(p.numel() for p in parameters.values()))


def test_events_learned_together_are_one_step_of_their_sum():
    """At the mean uncertainty; both kinds weigh one half before both were seen."""
    settings = AdaptationSettings(rate=0.1, momentum=0.0, uncertainty_decay=1.0)
    adapter, twin = make(settings), make(settings)
    both = [(*event[:3], uncertainty) for event, uncertainty in zip(events(2), (0.2, 0.6))]
    losses = twin.losses(both)
    parameters = dict(twin.model.named_parameters())
    total = 0.5 * losses[0].loss + 0.5 * losses[1].loss
    gradients = torch.autograd.grad(total, list(parameters.values()))
    done = adapter.update(*both)
    assert done.rate == pytest.approx(0.1 * math.exp(-0.4))
    assert done.loss == pytest.approx((losses[0].loss.item() + losses[1].loss.item()) / 2)
    for (name, after), gradient in zip(weights_of(adapter).items(), gradients):
        torch.testing.assert_close(after, parameters[name] - done.rate * gradient)
    assert set(adapter.mean_loss) == {"explicit", "implicit"}
    assert adapter.events == 2


def test_velocities_and_mean_losses_carry_over_between_events():
    """Velocities of selected entries, and each kind's decayed loss relative to a uniform guess."""
    adapter = make(AdaptationSettings(rate=0.1, momentum=0.5, update_fraction=0.3, memory=0.75))
    parameters = dict(adapter.model.named_parameters())
    velocity = {name: torch.zeros_like(p) for name, p in parameters.items()}
    mean = None
    for event in events(3, kinds=("explicit",)):
        own = adapter.losses([event])[0].loss
        gradients = torch.autograd.grad(0.5 * own, list(parameters.values()))
        for (name, v), gradient in zip(velocity.items(), gradients):
            chosen = select_entries(gradient, 0.3)
            velocity[name] = torch.where(chosen, 0.5 * v + gradient, v)
        relative = own.item() / math.log(4)
        mean = relative if mean is None else 0.75 * mean + 0.25 * relative
        adapter.update(event)
        torch.testing.assert_close(adapter._velocity, velocity)
        assert adapter.mean_loss == pytest.approx({"explicit": mean})


def test_parameters_that_require_no_gradient_stay():
    adapter = make()
    adapter.model[0].requires_grad_(False)
    adapter = OnlineAdapter(adapter.model, adapter.losses, AdaptationSettings(rate=1.0))
    before = weights_of(adapter)
    for event in events():
        adapter.update(event)
    after = weights_of(adapter)
    assert torch.equal(after["0.weight"], before["0.weight"])
    assert not torch.equal(after["3.weight"], before["3.weight"])
    assert adapter.model[3].weight.grad is None


def test_weights_follow_the_reliabilities():
    """Explicit feedback is always answer 0, so the model learns it; implicit feedback is noise."""
    adapter = make(AdaptationSettings(rate=0.1, memory=0.9))
    random = np.random.default_rng(0)
    assert adapter.weights() == {"explicit": 0.5, "implicit": 0.5}
    for k in range(60):
        kind, answer = ("explicit", 0) if k % 2 else ("implicit", int(random.integers(4)))
        x = torch.tensor([1.0, 0.0, k % 2], dtype=torch.float64)
        adapter.update((x, answer, kind, 0.0))
    assert adapter.weights()["explicit"] > 0.8
    assert sum(adapter.weights().values()) == pytest.approx(1)


def test_an_event_with_a_non_finite_loss_changes_nothing():
    adapter = make(EVERYTHING)
    adapter.update(events()[0])
    before, state = weights_of(adapter), dict(adapter.mean_loss)
    with pytest.raises(FloatingPointError, match="not finite"):
        adapter.update((torch.full((3,), math.nan).double(), 1, "explicit", 0.0))
    for name, value in weights_of(adapter).items():
        assert torch.equal(value, before[name])
    assert adapter.mean_loss == state
    assert adapter.events == 1
    assert adapter.model[0].weight.grad is None


@pytest.mark.parametrize("settings", [AdaptationSettings(rate=0.1), EVERYTHING])
def test_a_saved_state_resumes_to_the_same_bits(settings, tmp_path):
    whole, first = make(settings), make(settings)
    for event in events(8):
        whole.update(event)
    for event in events(8)[:3]:
        first.update(event)
    checkpoints.save(tmp_path / "state.safetensors", first.state_dict())
    second = make(settings)
    second.load_state_dict(checkpoints.load(tmp_path / "state.safetensors"))
    for event in events(8)[3:]:
        second.update(event)
    for name, value in weights_of(whole).items():
        assert torch.equal(value, weights_of(second)[name])
    assert (second.events, second.mean_loss) == (8, whole.mean_loss)


def test_a_state_of_other_settings_or_another_model_is_refused():
    state = make(EVERYTHING).state_dict()
    with pytest.raises(ValueError, match="other settings"):
        make().load_state_dict(state)
    other = nn.Linear(2, 2)
    fisher = {name: torch.ones_like(p) for name, p in other.named_parameters()}
    adapter = OnlineAdapter(other, lambda event: event, EVERYTHING, fisher)
    with pytest.raises(ValueError, match="another model"):
        adapter.load_state_dict(state)


@pytest.mark.parametrize(
    "wrong", [{"update_fraction": 0.0}, {"update_fraction": 1.1}, {"momentum": 1.0}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="update_fraction must be above 0"):
        make(AdaptationSettings(**wrong))


@pytest.mark.parametrize("settings", [AdaptationSettings(rate=0.1), EVERYTHING])
def test_parameters_of_any_layout_are_updated(settings):
    model = nn.Module()
    model.weight = nn.Parameter(torch.randn(4, 3).T)  # not contiguous
    start = model.weight.detach().clone()
    adapter = OnlineAdapter(
        model, lambda several: [EventLoss((model.weight @ several[0]).sum(), "implicit", 1.0)]
    )
    adapter.settings = settings
    adapter.update(torch.arange(1.0, 5.0))
    assert not torch.equal(model.weight, start)


def test_ewc_without_the_fisher_diagonal_is_refused():
    with pytest.raises(ValueError, match="needs the Fisher diagonal"):
        make(EVERYTHING, with_fisher=False)


def test_a_function_for_the_fisher_diagonal_is_called_once_and_not_after_a_restored_state():
    """It takes seconds, so a session that continues another one does not call it."""
    calls = []

    def adapter():
        made = make(EVERYTHING)

        def fisher():
            calls.append(1)
            return fisher_of(made.model)

        return OnlineAdapter(made.model, made.losses, EVERYTHING, fisher)

    first, expected = adapter(), make(EVERYTHING)
    assert not calls
    for event in events():
        assert first.update(event) == expected.update(event)
    assert len(calls) == 1
    again = adapter()
    again.load_state_dict(copy.deepcopy(first.state_dict()))
    assert again.update(events()[0]) == expected.update(events()[0])
    assert len(calls) == 1
