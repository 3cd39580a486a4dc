"""From a model and held-out items to scores and rankings, and the loader that RecBole evaluates."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from recbole.data.interaction import Interaction

from llm4rec_recbole.data.held_out import HeldOut, Outcomes
from llm4rec_recbole.evaluation.metrics import accuracy
from llm4rec_recbole.evaluation.negatives import draw_negatives
from llm4rec_recbole.evaluation.ranking import Rankings, rank_held_out

Score = Callable[[np.ndarray], np.ndarray]


def scorer(model: Any, config: Any, held_out: HeldOut, dataset: Any = None) -> Score:
    """A function from rows (B,) of `held_out` to that model's scores, (B, n_items) float.

    `dataset` gives a model the features of users and items that the model reads beside their ids.

    A model that defines `score_histories(held_out, rows)` scores from the whole history. Any other
    RecBole model scores by `full_sort_predict`, or pair by pair where it defines only `predict`.
    """
    model.eval()
    if hasattr(model, "score_histories"):
        return lambda rows: model.score_histories(held_out, rows)

    device = config["device"]

    @torch.no_grad()
    def score(rows: np.ndarray) -> np.ndarray:
        batch = _interaction(config, held_out, rows)
        if dataset is not None:
            batch = dataset.join(batch)  # the users' features
        batch = batch.to(device)
        try:
            scores = model.full_sort_predict(batch)
        except NotImplementedError:
            scores = _by_pairs(model, config, batch, held_out.n_items, dataset)
        return scores.view(len(rows), -1).float().cpu().numpy()

    return score


def _interaction(config: Any, held_out: HeldOut, rows: np.ndarray) -> Interaction:
    """The rows as RecBole passes them to a model: user, last items (B, L), and their number."""
    items, lengths = held_out.last(rows, config["MAX_ITEM_LIST_LENGTH"])
    fields = {
        config["USER_ID_FIELD"]: held_out.users[rows],
        config["ITEM_ID_FIELD"] + config["LIST_SUFFIX"]: items,
        config["ITEM_LIST_LENGTH_FIELD"]: lengths,
    }
    return Interaction({name: torch.from_numpy(array) for name, array in fields.items()})


def _by_pairs(
    model: Any, config: Any, batch: Interaction, n_items: int, dataset: Any
) -> torch.Tensor:
    """Scores (B * n_items,) of a model that scores user–item pairs only."""
    items = Interaction({config["ITEM_ID_FIELD"]: torch.arange(n_items)})
    if dataset is not None:
        items = dataset.join(items)  # the items' features
    items = items.to(config["device"])
    scores = []
    for row in range(len(batch)):
        pairs = batch[row : row + 1].repeat_interleave(n_items)
        pairs.update(items)
        scores.append(model.predict(pairs))
    return torch.cat(scores)


def validate(
    model: Any, config: Any, held_out: HeldOut, dataset: Any = None, batch_size: int = 256
) -> OrderedDict[str, float]:
    """Full-ranking metrics of the held-out items, which decide when training stops."""
    score = scorer(model, config, held_out, dataset)
    threads = torch.get_num_threads()
    rankings = rank_held_out(score, held_out, batch_size=batch_size, top=0, threads=threads)
    return OrderedDict(accuracy(rankings.rank_full))


#: Negatives are drawn once, with this seed. All methods and all training seeds share them.
NEGATIVES_SEED = 20250101


class HeldOutLoader:
    """The held-out items of one phase; its RecBole `dataset` has `held_out` and `outcomes`."""

    is_sequential = False  # RecBole's case study asks every loader

    def __init__(self, config: Any, dataset: Any, phase: str) -> None:
        """phase: `valid` or `test`. A model chooses nothing by the items of a test."""
        self.phase = phase
        self.dataset = self._dataset = dataset
        self.config = config
        self.held_out: HeldOut = dataset.held_out
        self.outcomes: Outcomes = dataset.outcomes
        self.batch_size: int = config["eval_batch_users"]
        self._negatives: tuple[np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return -(-len(self.held_out) // self.batch_size)

    def negatives(self) -> tuple[np.ndarray, np.ndarray]:
        """100 uniform and 100 popular negatives, (U, 100) each, by popularity in training."""
        if self._negatives is None:
            uniform = np.ones(self.held_out.n_items)
            popular = self.dataset.train_counts  # (n_items,)
            self._negatives = (
                draw_negatives(self.held_out, uniform, 100, NEGATIVES_SEED),
                draw_negatives(self.held_out, popular, 100, NEGATIVES_SEED + 1),
            )
        return self._negatives

    def evaluate(self, model: Any) -> OrderedDict[str, float]:
        """Full-ranking metrics for early stopping; RecBole's patched trainer calls this.

        A model with the method `before_validation` first chooses by the validation items.
        """
        if self.phase == "valid" and hasattr(model, "before_validation"):
            model.eval()
            model.before_validation(self.held_out)
        return validate(model, self.config, self.held_out, self.dataset, self.batch_size)

    def rank(
        self, model: Any, feedback: HeldOutLoader | None = None, progress: bool = False
    ) -> Rankings:
        """All three rankings of every held-out item and the users' lists, in one scoring pass.

        feedback: the validation items. A model with the method `prequential_rows` learns from them
        between two groups of rows; it has then learned only what lies before a row's query time.
        """
        groups = None
        if feedback is not None and hasattr(model, "prequential_rows"):
            times = self.held_out.query_times(self.outcomes.times)
            groups = model.prequential_rows(feedback.held_out, feedback.outcomes, times)
        score = scorer(model, self.config, self.held_out, self.dataset)
        score(np.arange(min(8, len(self.held_out))))  # warm up: the first batch is then typical
        uni100, pop100 = self.negatives()
        rankings = rank_held_out(
            score,
            self.held_out,
            uni100,
            pop100,
            self.batch_size,
            progress=progress,
            threads=torch.get_num_threads(),
            groups=groups,
        )
        rows = np.arange(min(self.batch_size, len(self.held_out)))
        if groups is None or rankings.batch_sizes.max() == len(rows):
            return rankings
        began = time.perf_counter()
        score(rows)  # the groups are small: the cost of a user is that in a batch of usual size
        seconds = time.perf_counter() - began
        return replace(rankings, seconds=np.array([seconds]), batch_sizes=np.array([len(rows)]))
