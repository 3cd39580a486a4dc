"""Each patch of RecBole's collector and evaluator, shown by what RecBole computes without it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from llm4rec_recbole.errors import InputError

LOO = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"}
HEADER = "user_id:token | item_id:token | timestamp:float"


def collect(scores: torch.Tensor, targets: torch.Tensor, metrics: list[str], k: int = 3) -> Any:
    """RecBole's collector and evaluator on one batch: scores (B, n_items), targets (B,)."""
    from recbole.evaluator import Collector, Evaluator

    config = {
        "metrics": metrics,
        "topk": [k],
        "eval_args": {"mode": {"valid": "full"}},
        "device": torch.device("cpu"),
        "metric_decimal_place": 12,
        "tail_ratio": None,
        "ITEM_ID_FIELD": "item_id",
        "USER_ID_FIELD": "user_id",
    }
    collector = Collector(config)
    counter = Counter({item: item for item in range(1, scores.shape[1])})
    dataset = SimpleNamespace(
        num=lambda field: scores.shape[1], item_counter=counter, user_counter=counter
    )
    collector.data_collect(SimpleNamespace(dataset=dataset))
    collector.eval_batch_collect(scores, None, torch.arange(len(scores)), targets)
    return Evaluator(config).evaluate(collector.get_data_struct())


def test_the_paper_s_coverage_metrics_are_computed() -> None:
    scores = torch.tensor([[-np.inf, 4, 3, 2, 1], [-np.inf, 1, 2, 3, 4]])
    metrics = ["ItemCoverage", "AveragePopularity", "GiniIndex", "TailPercentage"]
    found = collect(scores, torch.tensor([1, 1]), metrics, k=2)
    assert found["itemcoverage@2"] == 4 / 5
    assert found["averagepopularity@2"] == (1 + 2 + 4 + 3) / 4
    assert found["tailpercentage@2"] == 1 / 4


def test_metrics_are_numbers_that_json_knows() -> None:
    found = collect(torch.rand(4, 9), torch.tensor([1, 2, 3, 4]), ["NDCG", "Hit", "MRR"])
    assert all(type(value) is float for value in found.values())
    json.dumps(found)


def test_a_constant_score_is_as_good_as_chance_for_any_item() -> None:
    n = 50
    scores = torch.zeros(n, n)
    hits = collect(scores, torch.arange(n), ["Hit"], k=10)["hit@10"]
    assert hits == 10 / n
    low = collect(scores[:10], torch.arange(10), ["Hit"], k=10)["hit@10"]
    high = collect(scores[:10], torch.arange(40, 50), ["Hit"], k=10)["hit@10"]
    assert 0 < low < 0.6
    assert 0 < high < 0.6


def test_scores_without_ties_are_ordered_by_score() -> None:
    from recbole.evaluator import collector

    scores = torch.rand(20, 30, generator=torch.Generator().manual_seed(1))
    values, items = collector.torch.topk(scores, 5)
    assert torch.equal(values, torch.topk(scores, 5).values)
    assert torch.equal(items, torch.topk(scores, 5).indices)


def test_a_tie_never_lifts_an_item_above_a_better_one() -> None:
    from recbole.evaluator import collector

    scores = torch.randint(0, 4, (50, 30), generator=torch.Generator().manual_seed(1)).float()
    _, items = collector.torch.topk(scores, 8)
    assert torch.equal(scores.gather(1, items), torch.topk(scores, 8).values)
    assert all(len(set(row.tolist())) == 8 for row in items)


@pytest.fixture
def loaders(write: Callable) -> Callable[..., Any]:
    """loaders(model, protocol): RecBole's three loaders; who saw what is in HISTORIES."""
    rows = [f"{u} | {i} | {t}" for u, seen in HISTORIES.items() for t, i in enumerate(seen)]
    write(inter=[HEADER, *rows])

    def make(model: str, protocol: str) -> Any:
        from recbole.config import Config
        from recbole.data import create_dataset, data_preparation

        options: dict[str, Any] = {"load_col": None, "protocol": protocol}
        if protocol == "recbole":
            options |= {"eval_args": LOO, "repeatable": True}
        if model == "GRU4Rec":
            options |= {"train_neg_sample_args": None, "MAX_ITEM_LIST_LENGTH": 2}
        config = Config(model, "tiny", config_dict=options)
        return data_preparation(config, create_dataset(config))

    return make


HISTORIES = {"u": "abcde", "v": "edcba", "w": "caacb", "x": "fghi"}


def excluded(loader: Any) -> dict[str, set[str]]:
    """For each user, the items that are not ranked because the user has seen them."""
    held_out, data = loader.held_out, loader.dataset
    seen = held_out.seen_mask(np.arange(len(held_out)))[:, 1:]  # (U, n_items - 1), without the pad
    users = data.id2token("user_id", held_out.users)
    items = data.id2token("item_id", np.arange(1, held_out.n_items))
    return {str(user): {str(item) for item in items[row]} for user, row in zip(users, seen)}


@pytest.mark.parametrize("model", ["BPR", "GRU4Rec"])
def test_seen_items_are_excluded_for_every_model(loaders: Callable, model: str) -> None:
    _, valid, test = loaders(model, "loo")
    assert excluded(valid) == {"u": set("abc"), "v": set("edc"), "w": {"c"}, "x": set("fg")}
    assert excluded(test) == {"u": set("abcd"), "v": set("edcb"), "w": set("ca"), "x": set("fgh")}


@pytest.mark.parametrize("model", ["BPR", "GRU4Rec"])
def test_repeatable_is_set_by_the_family_under_our_protocols(model: str) -> None:
    from recbole.config import Config

    options = {"protocol": "loo", "train_neg_sample_args": None}
    config = Config(model, "ml-100k", config_dict=options)
    assert config["repeatable"] == (model == "GRU4Rec")
    with pytest.raises(InputError, match="protocol loo does not read repeatable"):
        Config(model, "ml-100k", config_dict=options | {"repeatable": True})


def test_scikit_learn_is_imported_when_it_is_needed() -> None:
    code = (
        "import sys, llm4rec_recbole, recbole.quick_start;"
        "from recbole.evaluator import metrics; before = 'sklearn' in sys.modules;"
        "print(before, metrics.sk_auc([0, 1], [0, 1]), 'sklearn' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["False", "0.5", "True"]
