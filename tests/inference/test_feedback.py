"""What an event means: who went on to what, from which history, and whether it was liked."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from llm4rec_recbole.components.adaptation.adapter import NextItemEvent, online_adapter
from llm4rec_recbole.components.adaptation.events import Event
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.inference.adaptation_session import Feedback
from llm4rec_recbole.inference.restore import TrainedModel, restore

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture(scope="module")
def model(adaptive: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    with contextlib.chdir(tmp_path_factory.mktemp("feedback")):  # texts are encoded where it runs
        return restore(adaptive)


def made(user: str, item: str, kind: str = "implicit", value: float = 1.0) -> Event:
    return Event(user, item, kind, value, 2e9)


def items_of(model: TrainedModel, step: NextItemEvent) -> list[str]:
    return model.item_tokens[step.history].tolist()


def test_a_step_goes_from_the_history_to_the_item(model: TrainedModel) -> None:
    feedback = Feedback(model)
    step = feedback.next_item_event(made("lonely", "i4"))
    assert (items_of(model, step), model.item_tokens[step.item]) == (["i1"], "i4")
    feedback.observe(made("lonely", "i4"))
    feedback.observe(made("lonely", "i9"))
    assert items_of(model, feedback.next_item_event(made("lonely", "i2"))) == ["i1", "i4", "i9"]


def test_an_item_that_comes_again_is_left_out_of_its_own_history(model: TrainedModel) -> None:
    feedback = Feedback(model)
    for item in ("i4", "i9", "i4"):
        feedback.observe(made("lonely", item))
    assert items_of(model, feedback.next_item_event(made("lonely", "i4"))) == ["i1", "i9"]
    assert items_of(model, feedback.next_item_event(made("lonely", "i2"))) == ["i1", "i4", "i9"]
    assert torch.isfinite(feedback.losses([made("lonely", "i4")])[0].loss)


@pytest.mark.parametrize(
    ("time", "unit"),
    [(2e12, "milliseconds"), (2e15, "microseconds"), (2e18, "nanoseconds"), (20_000, "days")],
)
def test_a_time_in_another_unit_than_the_data_is_refused(model, time, unit) -> None:
    feedback = Feedback(replace(model, times=1e9 + np.arange(len(model.times))))
    feedback.check(Event("lonely", "i4", "implicit", 1.0, 2e9))
    with pytest.raises(InputError, match=f"time is in {unit}, but the data set's are in seconds"):
        feedback.check(Event("lonely", "i4", "implicit", 1.0, time))


@pytest.mark.parametrize(
    ("mean", "kind", "value", "liked"),
    [
        (4, "explicit", 4, True),
        (4, "explicit", 3.5, False),
        (4, "implicit", 1, True),
        (None, "explicit", 0.5, True),
        (None, "explicit", 0, False),
        (None, "explicit", -1, False),
    ],
)
def test_a_rating_is_liked_from_the_users_own_mean_on(
    model: TrainedModel, mean, kind, value, liked
) -> None:
    """The user's own ratings have `mean`, all others are 1."""
    own = model.log.users == model.user_number("u1")
    ratings = None if mean is None else np.where(own, float(mean), 1.0)
    feedback = Feedback(replace(model, log=model.log._replace(ratings=ratings)))
    assert feedback.liked(made("u1", "i1", kind, value)) is liked


@pytest.mark.parametrize(("value", "direction"), [(5, 1), (1, -1)])
def test_learning_moves_an_item_where_its_rating_points(
    adaptive: Path,
    value: float,
    direction: int,
) -> None:
    fresh = restore(adaptive)
    feedback = Feedback(fresh)
    rated = made("u1", "i8", "explicit", value)
    step = feedback.next_item_event(rated)._replace(liked=True)

    def log_probability() -> float:
        with torch.no_grad():
            return -float(fresh.model.event_losses([step])[0].loss)

    adapter = online_adapter(fresh.model, fresh.test, feedback.losses)
    before = log_probability()
    adapter.update(rated)
    assert direction * (log_probability() - before) > 0
