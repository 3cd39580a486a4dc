"""Test, then train: on a stream that drifts, learning helps, and EWC forgets less."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from llm4rec_recbole.components.adaptation.adapter import AdaptationSettings, EventLoss
from llm4rec_recbole.components.adaptation.equations import fisher_diagonal
from llm4rec_recbole.components.adaptation.prequential import compare, standard_methods

D, N_ITEMS = 12, 8
OLD_PART = slice(0, 9)  # the features that old data use; the stream uses the last six
NEW_PART = slice(6, 12)


def draw(n, part, seed):
    """Contexts that use one part of the features, and what is chosen in them."""
    random = np.random.default_rng(seed)
    taste = np.random.default_rng(100 + part.start).normal(size=(D, N_ITEMS))
    x = np.zeros((n, D))
    x[:, part] = random.normal(size=(n, part.stop - part.start))
    return torch.from_numpy(x), torch.from_numpy((x @ taste).argmax(1))


OLD, STREAM = draw(300, OLD_PART, 0), draw(250, NEW_PART, 1)
EVENTS = list(zip(*STREAM))


def fitted():
    torch.manual_seed(0)
    model = nn.Linear(D, N_ITEMS).double()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=30)

    def loss():
        optimizer.zero_grad()
        value = functional.cross_entropy(model(OLD[0]), OLD[1])
        value = value + 1e-2 * model.weight.square().sum() / 2
        value.backward()
        return value

    optimizer.step(loss)
    return model.state_dict()


WEIGHTS = fitted()


class Choices:
    """A task whose score is the reciprocal rank of what was chosen."""

    def __init__(self):
        self.model = nn.Linear(D, N_ITEMS).double()
        self.model.load_state_dict(WEIGHTS)
        self.log = []

    def losses(self, events):
        ((x, chosen),) = events
        self.log.append("loss")
        value = functional.cross_entropy(self.model(x), chosen)
        return [EventLoss(value, "implicit", math.log(N_ITEMS))]

    def score(self, event):
        self.log.append("score")
        scores = self.model(event[0])
        return 1 / (1 + (scores > scores[event[1]]).sum().item())

    def observe(self, event):
        self.log.append("observe")

    def old(self):
        self.log.append("old")
        return (self.model(OLD[0]).argmax(1) == OLD[1]).double().mean()


@pytest.fixture(scope="module")
def replays():
    task = Choices()
    fisher = fisher_diagonal(task.model, lambda event: task.losses([event])[0].loss, zip(*OLD))
    methods = standard_methods(
        AdaptationSettings(rate=0.2, momentum=0.5), update_fraction=0.1, ewc=20.0
    )
    return {replayed.method: replayed for replayed in compare(Choices, EVENTS, methods, fisher)}


def test_the_four_methods_of_the_issue_are_compared(replays):
    assert list(replays) == ["frozen", "sgd", "selective", "ewc"]
    assert {len(replayed.scores) for replayed in replays.values()} == {250}


def test_every_method_starts_with_the_same_model(replays):
    assert len({replayed.scores[0] for replayed in replays.values()}) == 1
    assert len({replayed.old_before for replayed in replays.values()}) == 1


def test_learning_predicts_the_stream_better_than_a_frozen_model(replays):
    late = {name: replayed.scores[100:].mean() for name, replayed in replays.items()}
    for name in ("sgd", "selective", "ewc"):
        assert late[name] > late["frozen"] + 0.1, name


def test_a_frozen_model_forgets_nothing_and_sgd_the_most(replays):
    lost = {name: replayed.forgetting for name, replayed in replays.items()}
    assert lost["frozen"] == 0
    assert lost["sgd"] > 0.1
    assert lost["ewc"] < 0.7 * lost["sgd"]
    # Selecting is no protection: the largest gradients are on what old data use as well.
    assert lost["selective"] > lost["ewc"]


def test_selective_moves_its_share(replays):
    assert replays["sgd"].selected.mean() == 1
    assert 0.05 < replays["selective"].selected.mean() < 0.12
    assert replays["frozen"].selected.max() == 0


@pytest.mark.parametrize("method", ["frozen", "sgd"])
def test_each_event_is_tested_then_learned_then_observed(method):
    tasks = []

    def make():
        tasks.append(Choices())
        return tasks[-1]

    settings = {method: standard_methods(AdaptationSettings())[method]}
    compare(make, EVENTS[:2], settings)
    learned = ["loss"] if method == "sgd" else []
    assert tasks[0].log == ["old", *2 * ["score", *learned, "observe"], "old"]


def test_an_empty_stream_changes_nothing():
    (replayed,) = compare(Choices, [], {"sgd": AdaptationSettings()})
    assert len(replayed.scores) == 0
    assert replayed.forgetting == 0
