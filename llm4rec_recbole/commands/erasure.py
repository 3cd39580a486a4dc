"""A restored model's scores with parts of the histories erased, for analysis/faithfulness.py."""

from __future__ import annotations

import numpy as np

from llm4rec_recbole.analysis.faithfulness import Faithfulness, Score, faithfulness
from llm4rec_recbole.commands.trained import Explainer
from llm4rec_recbole.evaluation.held_out import HeldOut
from llm4rec_recbole.evaluation.ranking import rank_held_out
from llm4rec_recbole.training.restore import Restored
from llm4rec_recbole.training.scoring import scorer


def measure(model: Restored) -> Faithfulness:
    """Explain each test user's first recommendation and measure what citing is worth."""
    test, config = model.test, model.config
    gatherer = Explainer(model).gatherer
    none = np.zeros((len(test), 1), dtype=np.int64)
    score = scorer(model.model, config, test, model.dataset)
    top = rank_held_out(score, test, none, none, config["eval_users_per_batch"]).top_100[:, 0]
    histories = [
        model.read_of(test.items[start:stop]) for start, stop in zip(test.indptr, test.indptr[1:])
    ]
    cited = [gatherer.cited(history, item) for history, item in zip(histories, top.tolist())]
    return faithfulness(score_of(model, top), histories, cited)


def score_of(model: Restored, items: np.ndarray) -> Score:
    """The model's score of items[u] (U,) for the test's user u, from any part of the history."""
    test, batch = model.test, int(model.config["eval_users_per_batch"])

    def score(users: np.ndarray, histories: list[np.ndarray]) -> np.ndarray:
        held_out = shortened(test, users, histories)
        of_rows = scorer(model.model, model.config, held_out, model.dataset)
        parts = []
        for start in range(0, len(users), batch):
            rows = np.arange(start, min(start + batch, len(users)))
            parts.append(of_rows(rows)[np.arange(len(rows)), items[users[rows]]])
        return np.concatenate(parts).astype(np.float64)

    return score


def shortened(held_out: HeldOut, rows: np.ndarray, histories: list[np.ndarray]) -> HeldOut:
    """The rows (B,) with nothing left of each history but the items in `histories`."""
    items, times = [], []
    for row, history in zip(rows, histories):
        span = slice(held_out.indptr[row], held_out.indptr[row + 1])
        stays = np.isin(held_out.items[span], history)
        items.append(held_out.items[span][stays])
        times.append(held_out.times[span][stays])
    return HeldOut(
        users=held_out.users[rows],
        targets=held_out.targets[rows],
        indptr=np.concatenate([[0], np.cumsum([len(each) for each in items])]),
        items=np.concatenate(items),
        times=np.concatenate(times),
        n_items=held_out.n_items,
    )
