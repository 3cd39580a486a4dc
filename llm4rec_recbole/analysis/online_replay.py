"""What was held out as a stream of events, for components/prequential.py.

    training  |  validation and test, in exact order over all users
    old data  |  the stream: rank each item as the tables do, then learn from it

`loo` gives each user's validation and test item, `temporal` all that came after the validation cut.
Every interaction counts as implicit feedback, as it does in training. The user's history grows from
item to item for every method; a method that learns moves its parameters too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from llm4rec_recbole.analysis import significance
from llm4rec_recbole.components.adaptation.adapter import EventLoss, NextItemEvent, query_time
from llm4rec_recbole.components.adaptation.prequential import ReplayResult
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.data.splits import exact_order
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.metrics import ndcg
from llm4rec_recbole.evaluation.ranking import full_ranks
from llm4rec_recbole.evaluation.scoring import scorer
from llm4rec_recbole.inference.restore import TrainedModel


class StreamEvent(NamedTuple):
    """One interaction of the stream."""

    step: NextItemEvent
    times: np.ndarray  # (S,) of the step's history, in seconds


def held_out_stream(model: TrainedModel) -> list[StreamEvent]:
    """All that did not train, in exact order, without repeats and without users of no history."""
    trained = set(zip(model.users.tolist(), model.items.tolist()))
    histories: dict[int, dict[int, float]] = {}  # user: item: when it was first seen
    found = []
    log = model.log
    for row in exact_order(log.times).tolist():
        user, item = int(log.users[row]), int(log.items[row])
        history = histories.setdefault(user, {})
        if item in history:
            continue
        if history and (user, item) not in trained:
            items, times = np.array(list(history), dtype=np.int64), np.array([*history.values()])
            when = query_time(times, float(log.times[row]))
            found.append(StreamEvent(NextItemEvent(user, items, item, query_time=when), times))
        history[item] = log.times[row].item()
    return found


def last_training_items(held_out: HeldOut) -> HeldOut:
    """Each history's last item held out in its turn: old data, which the model was trained on."""
    lengths, last = np.diff(held_out.indptr), held_out.indptr[1:] - 1
    rows = np.flatnonzero(lengths > 1)
    kept = np.ones(len(held_out.items), dtype=bool)
    kept[last] = False
    return HeldOut(
        users=held_out.users[rows],
        targets=held_out.items[last[rows]],
        indptr=np.concatenate([[0], np.cumsum(lengths[rows] - 1)]),
        items=held_out.items[kept],
        times=held_out.times[kept],
        n_items=held_out.n_items,
    )


def ndcg_of(model: TrainedModel, held_out: HeldOut) -> np.ndarray:
    """NDCG@10 of each row of `held_out`, full ranking, (U,) float64."""
    score = scorer(model.model, model.config, held_out, model.dataset)
    batch = int(model.config["eval_batch_users"])
    ranks = np.empty(len(held_out))
    for start in range(0, len(held_out), batch):
        rows = np.arange(start, min(start + batch, len(held_out)))
        ranks[rows] = full_ranks(score(rows), held_out.targets[rows], held_out.seen_mask(rows))
    return ndcg(ranks, 10)


class HeldOutTask:
    """A prequential.Task: a restored model, set back to `weights`, meets its stream."""

    def __init__(self, model: TrainedModel, weights: dict[str, torch.Tensor], old: HeldOut) -> None:
        self.restored, self._old = model, old
        self.model: Any = model.model
        self.model.load_state_dict(weights)

    def loss(self, moment: StreamEvent) -> EventLoss:
        """For learning."""
        return self.model.event_loss(moment.step)

    def score(self, moment: StreamEvent) -> float:
        """NDCG@10 among all items that the user has not seen."""
        step, times = moment
        one = HeldOut(
            users=np.array([step.user]),
            targets=np.array([step.item]),
            indptr=np.array([0, len(step.history)]),
            items=step.history,
            times=times,
            n_items=self._old.n_items,
        )
        return float(ndcg_of(self.restored, one)[0])

    def observe(self, moment: StreamEvent) -> None:
        """Nothing: each moment carries its history."""

    def old(self) -> float:
        """Mean NDCG@10 on old data."""
        return float(ndcg_of(self.restored, self._old).mean())


# What one way of learning from a stream came to, and how it is told.


@dataclass(frozen=True)
class UpdateRule:
    """What one way of learning came to; means over users of each user's mean over the stream."""

    score: float  # of each event, before it was learned
    difference: float  # of `score`, to the first way's
    low: float  # 95 % bootstrap interval of the difference
    high: float
    p_t: float
    old_before: float  # the same metric on old data, before and after the stream
    old_after: float
    forgetting: float  # old_before - old_after
    ms_per_update: float  # median, wall-clock
    selected: float  # mean share of the learned numbers that an update moved


COLUMNS = (
    "NDCG@10", "Against the first, 95 %", "On old data", "Forgetting", "ms an update", "Moved"
)  # fmt: skip


def render(way: UpdateRule) -> list[str]:
    """`way` for people, a text for each of COLUMNS."""
    return [
        f"{way.score:.4f}",
        f"{way.difference:+.4f} [{way.low:+.4f}, {way.high:+.4f}]",
        f"{way.old_before:.4f} → {way.old_after:.4f}",
        f"{way.forgetting:+.4f}",
        f"{way.ms_per_update:.1f}",
        f"{100 * way.selected:.1f} %",
    ]


# Ways of learning from a stream, each against the frozen model: paired over users.


def compare_to_frozen(replays: Sequence[ReplayResult], users: np.ndarray) -> dict[str, UpdateRule]:
    """Each replay by its method's name, against the first one; users (T,): whose event it was.

    A user's events are one observation. Raises InputError for fewer than two users.
    """
    who, row = np.unique(users, return_inverse=True)
    if len(who) < 2:
        raise InputError(f"the stream has events of {len(who)} user(s): a test needs two")
    counts = np.bincount(row)
    scores = np.stack([np.bincount(row, each.scores) / counts for each in replays], axis=1)
    differences = scores - scores[:, :1]  # (U, C)
    low, high = significance.bootstrap_interval(differences)
    p = significance.paired_t(differences)
    return {
        each.method: UpdateRule(
            score=float(scores[:, n].mean()),
            difference=float(differences[:, n].mean()),
            low=float(low[n]),
            high=float(high[n]),
            p_t=float(p[n]),
            old_before=each.old_before,
            old_after=each.old_after,
            forgetting=each.forgetting,
            ms_per_update=float(np.median(each.milliseconds)),
            selected=float(each.selected.mean()),
        )
        for n, each in enumerate(replays)
    }
