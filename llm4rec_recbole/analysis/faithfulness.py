"""Do explanations cite the items that the model's score depends on? An erasure test.

For each user one item is explained, and the sentence names items of the user's history. The model
scores the item four times: from the whole history, without the items that the sentence names,
without as many other items at random, and without as many of the other items that most users chose.
Explanations are faithful when

    (score − score without the cited) − (score − score without as many others)

is above 0 on average over users ("comprehensiveness" of DeYoung et al., ACL 2020), for both kinds
of others. Popular items are the harder control: a sentence that named them alone would cite what
counts for any recommendation. Only scores of one model are compared, so their scale does not
matter. A model that does not read the history when it scores, such as BPR, has 0 for every user.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from llm4rec_recbole.analysis import significance
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.held_out_loader import scorer
from llm4rec_recbole.evaluation.ranking import rank_held_out
from llm4rec_recbole.inference.recommend import Explainer
from llm4rec_recbole.inference.restore import TrainedModel

# (users (B,), positions in `histories`; B histories, items oldest first) -> scores (B,) of the
# items explained to these users
Score = Callable[[np.ndarray, list[np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Faithfulness:
    """The effect of erasing cited items, over users, in the unit of the scores."""

    users: int
    left_out: int  # users with no cited item, or with fewer other items than cited ones
    drop_cited: float  # mean decrease of the score without the cited items
    drop_random: float  # mean decrease without as many others, over `draws` draws
    drop_popular: float  # mean decrease without as many of the most popular others
    difference_popular: float  # of drop_cited and drop_popular
    low_popular: float  # 95 % bootstrap interval of that difference
    high_popular: float
    difference: float  # of drop_cited and drop_random
    low: float  # 95 % bootstrap interval of the difference
    high: float
    effect_size: float  # Cohen's d of the paired differences
    p_t: float  # two-sided, paired t
    p_randomization: float
    share_above: float  # fraction of users whose difference is above 0


def faithfulness(
    score: Score,
    histories: Sequence[np.ndarray],
    cited: Sequence[np.ndarray],
    popularity: np.ndarray,
    draws: int = 5,
    seed: int = 0,
) -> Faithfulness:
    """Measure whether the cited items matter more to the score than others of the history.

    histories: for each user (S_u,) distinct item ids, oldest first; cited: the items that the
    sentence names; popularity: (n_items,), how many users chose an item. Raises InputError when
    fewer than two users can be measured, ValueError for a cited item that is not in the history.
    """
    for history, own_cited in zip(histories, cited):
        if not np.isin(own_cited, history).all():
            raise ValueError("an item is cited that is not in the history")
    measurable = [
        user
        for user, (history, own_cited) in enumerate(zip(histories, cited))
        if 0 < len(own_cited) <= len(history) - len(own_cited)
    ]
    if len(measurable) < 2:
        count = f"{len(measurable)} of {len(histories)}"
        raise InputError(f"{count} users can be measured: a test needs two")
    users = np.array(measurable)
    own_histories, cited_items = ([items[user] for user in users] for items in (histories, cited))
    uncited = [_without(*pair) for pair in zip(own_histories, cited_items)]
    counts = [len(items) for items in cited_items]
    with_all = score(users, own_histories)

    def score_without(erased: Sequence[np.ndarray]) -> np.ndarray:
        return score(users, [_without(*pair) for pair in zip(own_histories, erased)])

    drop_cited = with_all - score_without(cited_items)  # (U,)
    random = np.random.default_rng(seed)
    without_random = np.zeros(len(users))
    for _ in range(draws):
        drawn = [random.choice(items, n, replace=False) for items, n in zip(uncited, counts)]
        without_random += score_without(drawn) / draws
    drop_random = with_all - without_random
    popular = [
        items[np.argsort(-popularity[items], kind="stable")[:n]]
        for items, n in zip(uncited, counts)
    ]
    drop_popular = with_all - score_without(popular)
    difference_popular = (drop_cited - drop_popular)[:, None]  # (U, 1)
    low_popular, high_popular = significance.bootstrap_interval(difference_popular)[:, 0]
    difference = (drop_cited - drop_random)[:, None]  # (U, 1)
    low, high = significance.bootstrap_interval(difference)[:, 0]
    numbers = {
        "drop_cited": drop_cited.mean(),
        "drop_random": drop_random.mean(),
        "drop_popular": drop_popular.mean(),
        "difference_popular": difference_popular.mean(),
        "low_popular": low_popular,
        "high_popular": high_popular,
        "difference": difference.mean(),
        "low": low,
        "high": high,
        "effect_size": significance.effect_size(difference)[0],
        "p_t": significance.paired_t(difference)[0],
        "p_randomization": significance.randomization(difference)[0],
        "share_above": (difference > 0).mean(),
    }
    left_out = len(histories) - len(users)
    return Faithfulness(len(users), left_out, **{name: float(x) for name, x in numbers.items()})


def _without(history: np.ndarray, items: np.ndarray) -> np.ndarray:
    return history[~np.isin(history, items)]


def measure(model: TrainedModel) -> Faithfulness:
    """Explain each test user's first recommendation by its template and measure the
    faithfulness."""
    test, config = model.test, model.config
    explainer = Explainer(model)
    none = np.zeros((len(test), 1), dtype=np.int64)
    score = scorer(model.model, config, test, model.dataset)
    top = rank_held_out(score, test, none, none, config["eval_batch_users"]).top_100[:, 0]
    histories, cited = [], []
    numbers = {token: number for number, token in enumerate(explainer.names.tokens)}
    for user, item in zip(test.users.tolist(), top.tolist()):
        history = model.user_history(str(model.user_tokens[user]))
        (explanation,) = explainer.explain(history, [item], None)
        histories.append(model.model_history(history.items))
        cited.append(np.array([numbers[token] for token in explanation.cited], dtype=np.int64))
    popularity = np.bincount(model.items, minlength=test.n_items)
    return faithfulness(score_of(model, top), histories, cited, popularity)


def score_of(model: TrainedModel, items: np.ndarray) -> Score:
    """Return a function that scores items[u] (U,) for test user u from a part of the history."""
    test, batch = model.test, int(model.config["eval_batch_users"])

    def score(users: np.ndarray, histories: list[np.ndarray]) -> np.ndarray:
        held_out = shortened(test, users, histories)
        score_rows = scorer(model.model, model.config, held_out, model.dataset)
        scores = []
        for start in range(0, len(users), batch):
            rows = np.arange(start, min(start + batch, len(users)))
            scores.append(score_rows(rows)[np.arange(len(rows)), items[users[rows]]])
        return np.concatenate(scores).astype(np.float64)

    return score


def shortened(held_out: HeldOut, rows: np.ndarray, histories: list[np.ndarray]) -> HeldOut:
    """Return the rows (B,) with only the items in `histories` left in each history."""
    items, times = [], []
    for row, history in zip(rows, histories):
        span = slice(held_out.indptr[row], held_out.indptr[row + 1])
        remains = np.isin(held_out.items[span], history)
        items.append(held_out.items[span][remains])
        times.append(held_out.times[span][remains])
    return HeldOut(
        users=held_out.users[rows],
        targets=held_out.targets[rows],
        indptr=np.concatenate([[0], np.cumsum([len(history) for history in items])]),
        items=np.concatenate(items),
        times=np.concatenate(times),
        n_items=held_out.n_items,
    )
