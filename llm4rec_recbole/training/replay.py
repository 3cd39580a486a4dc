"""What was held out as a stream of events, for components/prequential.py.

    training  |  validation and test, in exact order over all users
    old data  |  the stream: rank each item as the tables do, then learn from it

`loo` gives each user's validation and test item, `timeline` all that came after the validation cut.
Every interaction counts as implicit feedback, as it does in training. The user's history grows from
item to item for every method; a method that learns moves its parameters too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from llm4rec_recbole.components.online import EventLoss
from llm4rec_recbole.data.splits import exact_order
from llm4rec_recbole.evaluation.held_out import HeldOut
from llm4rec_recbole.evaluation.metrics.ndcg import ndcg
from llm4rec_recbole.evaluation.ranking import full_ranks
from llm4rec_recbole.training.adapt import Step, right_after
from llm4rec_recbole.training.restore import Restored
from llm4rec_recbole.training.scoring import scorer


class Moment(NamedTuple):
    """One interaction of the stream."""

    step: Step
    times: np.ndarray  # (S,) of the step's history, in seconds


def stream(model: Restored) -> list[Moment]:
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
            asked = right_after(times, float(log.times[row]))
            found.append(Moment(Step(user, items, item, asked=asked), times))
        history[item] = log.times[row].item()
    return found


def last_trained(held_out: HeldOut) -> HeldOut:
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


def ndcg_of(model: Restored, held_out: HeldOut) -> np.ndarray:
    """NDCG@10 of each row of `held_out`, full ranking, (U,) float64."""
    score = scorer(model.model, model.config, held_out, model.dataset)
    batch = int(model.config["eval_users_per_batch"])
    ranks = np.empty(len(held_out))
    for start in range(0, len(held_out), batch):
        rows = np.arange(start, min(start + batch, len(held_out)))
        ranks[rows] = full_ranks(score(rows), held_out.targets[rows], held_out.seen_mask(rows))
    return ndcg(ranks, 10)


class HeldOutTask:
    """A prequential.Task: a restored model, set back to `weights`, meets its stream."""

    def __init__(self, model: Restored, weights: dict[str, torch.Tensor], old: HeldOut) -> None:
        self.restored, self._old = model, old
        self.model: Any = model.model
        self.model.load_state_dict(weights)

    def loss(self, moment: Moment) -> EventLoss:
        """For learning."""
        return self.model.step_loss(moment.step)

    def score(self, moment: Moment) -> float:
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

    def observe(self, moment: Moment) -> None:
        """Nothing: each moment carries its history."""

    def old(self) -> float:
        """Mean NDCG@10 on old data."""
        return float(ndcg_of(self.restored, self._old).mean())
