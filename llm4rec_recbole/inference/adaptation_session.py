"""A trained model that learns from feedback events, and the folder that stores what it learned.

    model.json              identifies the model: no other model may use the folder
    journal.jsonl           every accepted event
    snapshot.safetensors    the parameters after most of them

What an event means, for n items:

    implicit                the user chose this item next             −log P(item | history)
    explicit, liked         the same, with the reliability (32) of explicit feedback
    explicit, not liked     the item should have been less likely     log(1 + n P(item | history))

A rating is liked from the mean of the user's ratings in the data set on (events.py). In a data set
without ratings it is liked above 0. The value of implicit feedback is not read. A disliked item
joins the history too, as low ratings do in training, and is not recommended again. An item that is
in the history already is learned from a history without it; the history itself does not change.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole.components.adaptation.adapter import (
    EventLoss,
    NextItemEvent,
    online_adapter,
    query_time,
)
from llm4rec_recbole.components.adaptation.events import Event, likes, mean_ratings
from llm4rec_recbole.components.adaptation.journal import CrashSafeAdapter
from llm4rec_recbole.data.atomic_format import first_unit_change, unit_of
from llm4rec_recbole.data.exact_order import exact_order
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import sha256_of, write_json
from llm4rec_recbole.inference.restore import TrainedModel
from llm4rec_recbole.training.checkpoint_files import saved_fisher


def require_adaptive(model: TrainedModel) -> None:
    """Raise InputError for a model that cannot learn from single events."""
    if getattr(model.model, "adaptation", None) is None:
        hint = "EnhancedGenRec with its component adaptation, and GenRecAdapt, do"
        raise InputError(f"{model.method} does not learn from single events", hint=hint)


def resume(
    model: TrainedModel, folder: Path, report: Callable[[str], None] = print
) -> tuple[CrashSafeAdapter, Feedback]:
    """Bring `model`, in place, to the state in `folder`; return its adapter and the histories.

    An empty or new folder starts a new session. Raises InputError for a model that does not learn
    from events, and for a folder that belongs to another model, is in use, or is damaged.
    """
    require_adaptive(model)
    _check_owner(model, folder / "model.json")
    feedback = Feedback(model)
    fisher = saved_fisher(model.model, model.path)
    adapter = online_adapter(model.model, model.test, feedback.losses, fisher)
    crash_safe = CrashSafeAdapter(
        adapter, folder, check=feedback.check, observe=feedback.observe, report=report
    )
    return crash_safe, feedback


def with_adaptation_state(model: TrainedModel, folder: Path) -> TrainedModel:
    """Bring `model`, in place, to the state in `folder`; return it with the events in its
    histories. Raises InputError as `resume` does, and for a folder without a journal."""
    if not (folder / "journal.jsonl").is_file():
        raise InputError("there is nothing that `llm4rec adapt` wrote", file=folder)
    adapter, feedback = resume(model, folder)
    adapter.close()
    return feedback.updated_model()


def _check_owner(model: TrainedModel, path: Path) -> None:
    """Write which model the folder belongs to, or read it. Raises InputError for another model."""
    expected = {"method": model.method, "checkpoint_sha256": sha256_of(model.path)}
    if not path.exists():
        write_json(path, expected)
        return
    try:
        owner: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError("this is damaged", file=path) from error
    if owner != expected:
        name = owner.get("method") if isinstance(owner, dict) else None
        hint = "every trained model needs its own --state"
        message = f"this is of another model: {name}, or of another training of it"
        raise InputError(message, file=path, hint=hint)


class Feedback:
    """Converts events to what `model` learns from; extends users' histories. The histories begin
    with the whole data set, the test items included: events come later."""

    def __init__(self, model: TrainedModel) -> None:
        self.model = model
        self._users, self._items = (
            {token: number for number, token in enumerate(tokens) if number}
            for tokens in (model.user_tokens.tolist(), model.item_tokens.tolist())
        )
        self._seen: list[tuple[int, int, float]] = []  # user, item, time
        self._histories: dict[int, dict[int, float]] = {}  # user: item: time, oldest first
        log = model.log
        self._span = log.times.min(), log.times.max()
        for row in exact_order(log.times).tolist():
            self._append(int(log.users[row]), int(log.items[row]), float(log.times[row]))
        self._means = np.zeros(len(model.user_tokens))
        if log.ratings is not None:
            self._means = mean_ratings(log.users, log.ratings, len(model.user_tokens))

    def check(self, event: Event) -> None:
        """Raise InputError for an unknown user or item, for a user without another item, and for a
        time in another unit than the data set's times."""
        for kind, token, numbers in (
            ("user", event.user, self._users),
            ("item", event.item, self._items),
        ):
            if token not in numbers:
                raise InputError(f"no {kind} {token!r} in {self.model.config['dataset']}")
        if not len(self._history(event)):
            raise InputError(f"user {event.user!r} has no other item in the history")
        if first_unit_change(np.array([*self._span, event.time], dtype=np.float64)) is not None:
            units = unit_of(event.time), unit_of(self._span[1])
            raise InputError(f"the time is in {units[0]}, but the data set's are in {units[1]}")

    def next_item_event(self, event: Event) -> NextItemEvent:
        """Return the event in internal ids; the same before and after `observe`."""
        user, item = self._users[event.user], self._items[event.item]
        history = self._history(event)
        seen = self._histories[user]
        queried = query_time(np.array([seen[number] for number in history.tolist()]), event.time)
        return NextItemEvent(user, history, item, event.kind, self.liked(event), queried)

    def liked(self, event: Event) -> bool:
        """Whether the user likes the event's item; see the head of this file."""
        if event.kind == "implicit":
            return True
        if self.model.log.ratings is None:
            return event.value > 0
        return bool(likes(event.value, self._means[self._users[event.user]]))

    def losses(self, events: Sequence[Event]) -> list[EventLoss]:
        """Return the model's loss of each event, for OnlineAdapter."""
        return self.model.model.event_losses([self.next_item_event(event) for event in events])

    def observe(self, event: Event) -> None:
        """Add the event's item to its user's history."""
        self._append(self._users[event.user], self._items[event.item], event.time)

    def updated_model(self) -> TrainedModel:
        """Return the model with all observed events in its users' histories, and no test users."""
        none = np.zeros(0, dtype=np.int64)
        nobody = HeldOut(none, none, np.zeros(1, np.int64), none, none, self.model.test.n_items)
        users, items, times = zip(*self._seen)
        return replace(
            self.model,
            test=nobody,
            users=np.array(users, dtype=np.int64),
            items=np.array(items, dtype=np.int64),
            times=np.array(times, dtype=np.float64),
        )

    def _history(self, event: Event) -> np.ndarray:
        item = self._items[event.item]
        seen = self._histories.get(self._users[event.user], {})
        return np.array([number for number in seen if number != item], dtype=np.int64)

    def _append(self, user: int, item: int, time: float) -> None:
        history = self._histories.setdefault(user, {})
        if item not in history:
            history[item] = time
            self._seen.append((user, item, time))
