"""What an event means to a trained model: a step of its user, from the history to the item.

    implicit                    the user went on to this item           −log P(item | history)
    explicit, liked             the same, under the reliability of (32) of what is explicit
    explicit, not liked         the item should have been less likely   log(1 + n P(item | history))

A rating is liked from the middle of the data set's own scale on; where the data set has no ratings,
above 0. Of implicit feedback the value is not read. Whatever it was worth, the item has been seen:
it joins the history, as low ratings do in training, and is not recommended again. An item that the
user had before is learned from as if it were not yet in the history, whose first one stays.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llm4rec_recbole.components.adaptation.adapter import EventLoss
from llm4rec_recbole.components.adaptation.events import Event
from llm4rec_recbole.components.adaptation.steps import NextItemEvent, query_time
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.data.splits import exact_order
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.inference.restore import TrainedModel


class Feedback:
    """Turns events into what `model`, an Adaptive, learns from, and keeps its users' histories.

    They begin with all that the data set holds, the test's items too: an event is later than these.
    """

    def __init__(self, model: TrainedModel) -> None:
        self.model = model
        self._users, self._items = (
            {token: number for number, token in enumerate(tokens) if number}
            for tokens in (model.user_tokens.tolist(), model.item_tokens.tolist())
        )
        self._seen: list[tuple[int, int, float]] = []  # user, item, time
        self._histories: dict[int, dict[int, float]] = {}  # user: item: time, oldest first
        log = model.log
        for row in exact_order(log.times).tolist():
            self._append(int(log.users[row]), int(log.items[row]), float(log.times[row]))
        self._middle = 0.0
        if log.ratings is not None:
            self._middle = float(log.ratings.min() + log.ratings.max()) / 2

    def check(self, event: Event) -> None:
        """Raises InputError when the user or the item is unknown, or the user has no history."""
        for kind, token, known in (
            ("user", event.user, self._users),
            ("item", event.item, self._items),
        ):
            if token not in known:
                raise InputError(f"no {kind} {token!r} in {self.model.config['dataset']}")
        if not len(self._history(event)):
            raise InputError(f"nothing is known of user {event.user!r} beside this item")

    def step(self, event: Event) -> NextItemEvent:
        """The event as a step of its user; the same before and after `observe`."""
        user, item = self._users[event.user], self._items[event.item]
        history = self._history(event)
        seen = self._histories[user]
        when = query_time(np.array([seen[each] for each in history.tolist()]), event.time)
        return NextItemEvent(user, history, item, event.kind, self.liked(event), when)

    def liked(self, event: Event) -> bool:
        """Whether the event speaks for its item; see the head of this file."""
        if event.kind == "implicit":
            return True
        return event.value > 0 if self.model.log.ratings is None else event.value >= self._middle

    def loss(self, event: Event) -> EventLoss:
        """The model's loss of an event, for OnlineAdapter."""
        return self.model.model.event_loss(self.step(event))

    def observe(self, event: Event) -> None:
        """The event's item joins its user's history."""
        self._append(self._users[event.user], self._items[event.item], event.time)

    def restored(self) -> TrainedModel:
        """The model with all that was observed as what it knows of its users; nobody is tested."""
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
        return np.array([each for each in seen if each != item], dtype=np.int64)

    def _append(self, user: int, item: int, time: float) -> None:
        history = self._histories.setdefault(user, {})
        if item not in history:
            history[item] = time
            self._seen.append((user, item, time))
