"""Held-out interactions as a stream of events: test, then train, with four update rules.

    training  |  validation and test, in exact time order over all users
    old data  |  the stream: rank each item as the tables do, then learn from it

`loo` gives each user's validation and test item, `temporal` all interactions after the validation
cut. Every interaction is implicit feedback, as in training. The user's history grows from item to
item for every rule, including the one that learns nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from llm4rec_recbole.analysis import significance
from llm4rec_recbole.components.adaptation.adapter import (
    EventLoss,
    NextItemEvent,
    fisher_information,
    query_time,
)
from llm4rec_recbole.components.adaptation.prequential import (
    ReplayResult,
    compare,
    standard_methods,
)
from llm4rec_recbole.data.exact_order import exact_order
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.held_out_loader import scorer
from llm4rec_recbole.evaluation.metrics import ndcg
from llm4rec_recbole.evaluation.ranking import full_ranks
from llm4rec_recbole.files import sha256_of
from llm4rec_recbole.inference.adaptation_session import require_adaptive
from llm4rec_recbole.inference.restore import TrainedModel
from llm4rec_recbole.machine import hardware


def replay_record(model: TrainedModel, max_events: int | None) -> dict[str, Any]:
    """Replay the first `max_events` events with each update rule; return what the command writes.

    model: as training left it; it is changed. λ of (33) is the largest stable value. Raises
    InputError for a model that does not learn from single events.
    """
    require_adaptive(model)
    settings = model.model.adaptation
    model.model.fix_content()
    fisher = fisher_information(model.model, model.valid)
    methods = standard_methods(settings, ewc=max_stable_ewc_strength(settings.rate, fisher))
    weights, old = copy.deepcopy(model.model.state_dict()), last_training_items(model.valid)
    events = held_out_stream(model)[:max_events]
    replays = compare(lambda: HeldOutTask(model, weights, old), events, methods, fisher)
    users = np.array([event.next_item.user for event in events])
    rules = compare_to_frozen(replays, users)
    config = model.config
    return {
        "dataset": config["dataset"],
        "protocol": config["protocol"],
        "method": model.method,
        "seed": config["seed"],
        "metric": "ndcg@10, full ranking",
        "events": len(events),
        "users": len(np.unique(users)),
        "old_users": len(old),
        "settings": {name: rule and asdict(rule) for name, rule in methods.items()},
        "rules": {name: asdict(rule) for name, rule in rules.items()},
        "checkpoint_sha256": sha256_of(model.path),
        "hardware": hardware(config["device"]),
        "threads": torch.get_num_threads(),
    }


def max_stable_ewc_strength(rate: float, fisher: Mapping[str, torch.Tensor]) -> float:
    """Return λ of (33) with λ η max F = 1; 0 where all of F is 0.

    The parameter with the largest F then returns to θ* at each update. Above 2 an update
    overshoots.
    """
    largest = max((float(values.max()) for values in fisher.values()), default=0.0)
    return 1 / (rate * largest) if largest else 0.0


class StreamEvent(NamedTuple):
    """One interaction of the stream."""

    next_item: NextItemEvent
    times: np.ndarray  # (S,) of the event's history, in seconds


def held_out_stream(model: TrainedModel) -> list[StreamEvent]:
    """Return all interactions outside the training data, in exact time order.

    Repeated interactions and users without a history are left out.
    """
    trained = set(zip(model.users.tolist(), model.items.tolist()))
    histories: dict[int, dict[int, float]] = {}  # user: item: time of the first interaction
    events = []
    log = model.log
    for row in exact_order(log.times).tolist():
        user, item = int(log.users[row]), int(log.items[row])
        history = histories.setdefault(user, {})
        if item in history:
            continue
        if history and (user, item) not in trained:
            items, times = np.array(list(history), dtype=np.int64), np.array([*history.values()])
            when = query_time(times, float(log.times[row]))
            events.append(StreamEvent(NextItemEvent(user, items, item, query_time=when), times))
        history[item] = log.times[row].item()
    return events


def last_training_items(held_out: HeldOut) -> HeldOut:
    """Return old data: each history with its own last item held out. The model trained on it."""
    lengths, last = np.diff(held_out.indptr), held_out.indptr[1:] - 1
    rows = np.flatnonzero(lengths > 1)
    in_history = np.ones(len(held_out.items), dtype=bool)
    in_history[last] = False
    return HeldOut(
        users=held_out.users[rows],
        targets=held_out.items[last[rows]],
        indptr=np.concatenate([[0], np.cumsum(lengths[rows] - 1)]),
        items=held_out.items[in_history],
        times=held_out.times[in_history],
        n_items=held_out.n_items,
    )


def ndcg_of(model: TrainedModel, held_out: HeldOut) -> np.ndarray:
    """Return NDCG@10 of each row of `held_out`, full ranking, (U,) float64."""
    score = scorer(model.model, model.config, held_out, model.dataset)
    batch = int(model.config["eval_batch_users"])
    ranks = np.empty(len(held_out))
    for start in range(0, len(held_out), batch):
        rows = np.arange(start, min(start + batch, len(held_out)))
        ranks[rows] = full_ranks(score(rows), held_out.targets[rows], held_out.seen_mask(rows))
    return ndcg(ranks, 10)


class HeldOutTask:
    """A prequential.Task: a trained model, reset to `weights`, and its stream."""

    def __init__(self, model: TrainedModel, weights: dict[str, torch.Tensor], old: HeldOut) -> None:
        self.trained, self._old = model, old
        self.model: Any = model.model
        self.model.load_state_dict(weights)

    def losses(self, events: Sequence[StreamEvent]) -> list[EventLoss]:
        """The losses to learn from."""
        return self.model.event_losses([event.next_item for event in events])

    def score(self, event: StreamEvent) -> float:
        """NDCG@10 among all items that the user has not seen."""
        next_item, times = event
        one_row = HeldOut(
            users=np.array([next_item.user]),
            targets=np.array([next_item.item]),
            indptr=np.array([0, len(next_item.history)]),
            items=next_item.history,
            times=times,
            n_items=self._old.n_items,
        )
        return float(ndcg_of(self.trained, one_row)[0])

    def observe(self, event: StreamEvent) -> None:
        """Nothing: each event has its history."""

    def old(self) -> float:
        """Mean NDCG@10 on old data."""
        return float(ndcg_of(self.trained, self._old).mean())


@dataclass(frozen=True)
class UpdateRule:
    """What one update rule reached; means over users of each user's mean over the stream."""

    score: float  # of each event, before the model learned it
    difference: float  # of `score`, to the first rule's
    low: float  # 95 % bootstrap interval of the difference
    high: float
    p_t: float
    old_before: float  # the same metric on old data, before and after the stream
    old_after: float
    forgetting: float  # old_before - old_after
    ms_per_update: float  # median, wall-clock
    selected: float  # mean fraction of the trainable numbers that an update moved


def compare_to_frozen(replays: Sequence[ReplayResult], users: np.ndarray) -> dict[str, UpdateRule]:
    """Return each replay by its method's name, compared to the first one, the frozen model.

    users: (T,), the user of each event. A user's events are one observation. Raises InputError for
    fewer than two users.
    """
    distinct_users, row = np.unique(users, return_inverse=True)
    if len(distinct_users) < 2:
        count = len(distinct_users)
        raise InputError(f"the stream has events of {count} user(s): a test needs two")
    counts = np.bincount(row)
    scores = np.stack([np.bincount(row, replay.scores) / counts for replay in replays], axis=1)
    differences = scores - scores[:, :1]  # (U, C)
    low, high = significance.bootstrap_interval(differences)
    p = significance.paired_t(differences)
    return {
        replay.method: UpdateRule(
            score=float(scores[:, n].mean()),
            difference=float(differences[:, n].mean()),
            low=float(low[n]),
            high=float(high[n]),
            p_t=float(p[n]),
            old_before=replay.old_before,
            old_after=replay.old_after,
            forgetting=replay.forgetting,
            ms_per_update=float(np.median(replay.milliseconds)),
            selected=float(replay.selected.mean()),
        )
        for n, replay in enumerate(replays)
    }
