"""From a RecBole model and held-out users to scores of every item: one forward pass per user."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from recbole.data.interaction import Interaction

from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.evaluation.metrics import accuracy
from llm4rec_recbole.evaluation.ranking import rank_held_out

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
