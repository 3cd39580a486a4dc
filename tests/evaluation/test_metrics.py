from __future__ import annotations

import math

import ir_measures
import numpy as np
import pytest
from ir_measures import RR, Qrel, ScoredDoc, Success, nDCG

from llm4rec_recbole.evaluation.metrics import ACCURACY, accuracy, hit, mrr, ndcg
from llm4rec_recbole.evaluation.ranking import full_ranks
from tests.helpers.random_held_out import random_held_out


def test_first_place_scores_one_in_every_metric():
    assert all(metric(np.array([0.0]), k) == [1.0] for metric, k in ACCURACY.values())


def test_the_last_place_that_counts_and_the_first_that_does_not():
    ranks = np.array([9.0, 10.0])
    assert hit(ranks, 10).tolist() == [1, 0]
    assert ndcg(ranks, 10).tolist() == [1 / math.log2(11), 0]
    assert mrr(ranks, 10).tolist() == [1 / 10, 0]


def test_a_tie_for_first_has_rank_one_and_a_half():
    ranks = np.array([0.5])
    assert hit(ranks, 1).tolist() == [1]
    assert ndcg(ranks, 10).tolist() == [1 / math.log2(2.5)]
    assert mrr(ranks, 10).tolist() == [1 / 1.5]


def test_a_tie_over_the_cut_off_counts_when_its_middle_lies_within():
    assert hit(np.array([4.5, 5.0, 5.5]), 5).tolist() == [1, 0, 0]


def test_accuracy_is_the_mean_over_users():
    assert accuracy(np.array([0, 7, 99])) == pytest.approx(
        {
            "hit@5": 1 / 3,
            "hit@10": 2 / 3,
            "ndcg@5": 1 / 3,
            "ndcg@10": (1 + 1 / math.log2(9)) / 3,
            "mrr@10": (1 + 1 / 8) / 3,
        }
    )


def scored_users():
    """Scores without ties, with some targets well placed, others not."""
    held_out = random_held_out(seed=5, n_users=200, n_items=60)
    rows = np.arange(200)
    scores = np.random.default_rng(5).standard_normal((200, 60))
    scores[rows, held_out.targets] += 1.5
    return held_out, scores, held_out.seen_mask(rows)


def test_metrics_equal_those_of_ir_measures_on_the_same_scores():
    held_out, scores, seen = scored_users()
    wanted = {
        "hit@5": Success @ 5,
        "hit@10": Success @ 10,
        "ndcg@5": nDCG @ 5,
        "ndcg@10": nDCG @ 10,
        "mrr@10": RR @ 10,
    }
    relevant = [Qrel(str(u), str(i), 1) for u, i in zip(held_out.users, held_out.targets)]
    listed = [
        ScoredDoc(str(user), str(item), scores[row, item])
        for row, user in enumerate(held_out.users)
        for item in np.flatnonzero(~seen[row])
    ]
    oracle = ir_measures.calc_aggregate(wanted.values(), relevant, listed)
    ours = accuracy(full_ranks(scores, held_out.targets, seen))
    assert 0.2 < ours["hit@10"] < 0.9
    assert ours == pytest.approx({name: oracle[m] for name, m in wanted.items()}, abs=1e-6)


def test_metrics_equal_those_of_recbole_on_the_same_scores(monkeypatch):
    monkeypatch.setattr(np, "float", float, raising=False)  # RecBole still writes np.float
    from recbole.evaluator.metrics import MRR, NDCG, Hit

    held_out, scores, seen = scored_users()
    top = np.argsort(-np.where(seen, -np.inf, scores), axis=1)[:, :10]
    pos_index = top == held_out.targets[:, None]
    config = {"topk": [5, 10], "metric_decimal_place": 9}
    results = {
        "hit": Hit(config).metric_info(pos_index),
        "ndcg": NDCG(config).metric_info(pos_index, np.ones(200, int)),
        "mrr": MRR(config).metric_info(pos_index),
    }
    ours = accuracy(full_ranks(scores, held_out.targets, seen))
    for name, value in ours.items():
        metric, k = name.split("@")
        assert value == pytest.approx(results[metric][:, int(k) - 1].mean(), abs=1e-6), name
