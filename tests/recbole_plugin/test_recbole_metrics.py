"""Table II's metrics, asked for by RecBole's own option, computed in RecBole's own evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.metrics import (
    coverage,
    fairness,
    intra_list_diversity,
    item_novelty,
    item_parity,
    novelty,
    user_parity,
)

OURS = ["IntraListDiversity", "Coverage", "Novelty", "Fairness"]
N_USERS, N_ITEMS = 12, 9
ITEM = ["item_id:token | class:token_seq", *(f"i{i} | {'AB'[i % 2]} C{i % 3}" for i in range(9))]
USER = ["user_id:token | gender:token", *(f"u{u} | {'FM'[u % 3 > 0]}" for u in range(N_USERS))]


def interactions() -> list[str]:
    random = np.random.default_rng(0)
    rows = [
        f"u{user} | i{item} | {time}"
        for user in range(N_USERS)
        for time, item in enumerate(random.permutation(N_ITEMS)[:5])
    ]
    return ["user_id:token | item_id:token | timestamp:float", *rows]


@pytest.fixture
def evaluate(write: Callable) -> Callable[..., tuple[dict[str, float], Any, Any]]:
    """evaluate(mode, metrics): RecBole's results on the test items, its trainer and its data."""

    def run(mode: str = "full", metrics: list[str] = OURS, **tables: list[str]) -> Any:
        from recbole.config import Config
        from recbole.data import create_dataset, data_preparation
        from recbole.utils import get_model, get_trainer

        write(inter=interactions(), **tables)
        split = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user"}
        options = {
            "load_col": None,
            "protocol": "recbole",
            "eval_args": split | {"mode": mode},
            "metrics": metrics,
            "topk": [2, 3],
            "valid_metric": f"{metrics[0]}@2",
            "metric_decimal_place": 12,
            "eval_batch_size": 20,
            "epochs": 1,
            "checkpoint_dir": "checkpoints",
        }
        config = Config("BPR", "tiny", config_dict=options)
        data = data_preparation(config, create_dataset(config))
        model = get_model("BPR")(config, data[0].dataset)
        trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, model)
        trainer.fit(data[0], data[1], saved=False, verbose=False)
        return trainer.evaluate(data[2], load_best_model=False), trainer, data

    return run


def lists(trainer: Any, data: Any) -> tuple[np.ndarray, np.ndarray]:
    """The users of the test items and their three best items, by way of full_sort_predict."""
    import torch
    from recbole.utils.case_study import full_sort_topk

    users = torch.unique(data[2].dataset.inter_feat["user_id"])
    _, top = full_sort_topk(users, trainer.model, data[2], k=3)
    return users.numpy(), top.numpy()


def test_recbole_computes_all_four_for_each_k(evaluate: Callable) -> None:
    found, trainer, data = evaluate(item=ITEM, user=USER)
    assert list(found) == [f"{name.lower()}@{k}" for name in OURS for k in (2, 3)]
    users, top = lists(trainer, data)
    train = data[0].dataset
    tokens = train.field2id_token["item_id"]
    categories = np.array(
        [[t != "[PAD]" and c in ITEM[1 + int(t[1:])].split(" | ")[1].split()
          for c in ("A", "B", "C0", "C1", "C2")] for t in tokens]
    )  # fmt: skip
    counts = np.array([train.item_counter[item] for item in range(len(tokens))])
    assert found["coverage@3"] == coverage(top, len(tokens), 3)
    assert found["intralistdiversity@2"] == pytest.approx(
        intra_list_diversity(top, categories, 2).mean()
    )
    of_item = item_novelty(counts, N_USERS)
    assert found["novelty@3"] == pytest.approx(novelty(top, of_item, 3).mean())

    test = data[2].dataset.inter_feat
    target = dict(zip(test["user_id"].tolist(), test["item_id"].tolist()))
    rank = [row.index(target[u]) if target[u] in row else 99 for u, row in zip(users, top.tolist())]
    ndcg = np.where(np.array(rank) < 3, 1 / np.log2(np.array(rank) + 2.0), 0)
    genders = [int(train.field2id_token["user_id"][user][1:]) % 3 > 0 for user in users]
    expected = fairness(
        {"gender": user_parity(ndcg, np.array(genders).astype(int))},
        item_parity(top, categories, 3),
    )
    assert found["fairness@3"] == pytest.approx(expected)


def test_a_second_evaluation_finds_the_same(evaluate: Callable) -> None:
    first, trainer, data = evaluate(item=ITEM, user=USER)
    assert trainer.evaluate(data[2], load_best_model=False) == first


def test_sampled_ranking_knows_whose_list_each_is(evaluate: Callable) -> None:
    found, *_ = evaluate(mode="uni3", item=ITEM, user=USER)
    assert all(0 <= value <= 1 for value in found.values())


def test_a_metric_without_its_features_is_refused(evaluate: Callable) -> None:
    with pytest.raises(InputError, match="IntraListDiversity needs categories or groups"):
        evaluate(metrics=["IntraListDiversity"])
    with pytest.raises(InputError, match="Fairness needs categories or groups"):
        evaluate(metrics=["Fairness"])


def test_coverage_and_novelty_need_no_features(evaluate: Callable) -> None:
    found, *_ = evaluate(metrics=["Coverage", "Novelty"])
    assert set(found) == {"coverage@2", "coverage@3", "novelty@2", "novelty@3"}
