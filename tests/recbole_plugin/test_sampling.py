"""This project's samplers, from RecBole's own option, in RecBole's own models."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from llm4rec_recbole.errors import InputError
from tests.helpers.two_cycles import read_by

DISTRIBUTIONS = ["propensity", "popularity_strata"]


@pytest.fixture
def prepared(write: Callable, tmp_path: Any) -> Callable[..., Any]:
    """prepared(model, distribution, **options): a run on 25 users, 20 items, ready to train."""
    random = np.random.default_rng(0)
    probabilities = np.arange(1, 21) / 210
    rows = [
        f"u{user} | i{item} | {time}"
        for user in range(25)
        for time, item in enumerate(random.choice(20, 8, replace=False, p=probabilities))
    ]
    write(inter=["user_id:token | item_id:token | timestamp:float", *rows])

    def make(model: str, arguments: Any, **options: Any) -> Any:
        from llm4rec_recbole.training.experiment import prepare

        defaults = {
            "data_path": str(tmp_path / "dataset"),
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "train_neg_sample_args": arguments,
            "train_batch_size": 64,
            "embedding_size": 8,
            "hidden_size": 8,
            "epochs": 2,
            "eval_step": 1,
            "show_progress": False,
            "quiet": True,
        }
        return prepare(model, "tiny", options=read_by(model, defaults | options))

    return make


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("model", ["BPR", "LightGCN", "DMF"])  # DMF: pointwise, with labels
def test_recboles_models_train_on_our_negatives(
    prepared: Callable, model: str, distribution: str
) -> None:
    run = prepared(model, {"distribution": distribution})
    score, metrics = run.trainer.fit(run.data.train, run.data.valid, verbose=False, saved=False)
    assert 0 <= score <= 1
    assert metrics


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("sample_num", [1, 3])
def test_no_batch_holds_a_used_negative(
    prepared: Callable, distribution: str, sample_num: int
) -> None:
    run = prepared("BPR", {"distribution": distribution, "sample_num": sample_num})
    seen = run.data.train._sampler.seen
    rows = 0
    for batch in run.data.train:
        users, negatives = batch["user_id"].numpy(), batch["neg_item_id"].numpy()
        assert seen.contains(users, batch["item_id"].numpy()).all()
        assert not seen.contains(users, negatives).any()
        rows += len(users)
    assert rows == sample_num * len(run.data.train._dataset)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_only_training_interactions_are_looked_at(prepared: Callable, distribution: str) -> None:
    run = prepared("BPR", {"distribution": distribution})
    seen = run.data.train._sampler.seen
    assert len(seen) == 25 * 6
    for data in (run.data.valid, run.data.test):
        assert not seen.contains(data.held_out.users, data.held_out.targets).any()


def test_sequential_models_count_the_first_item_of_a_history_too(prepared: Callable) -> None:
    arguments = {"distribution": "popularity_strata"}
    run = prepared("GRU4Rec", arguments, loss_type="BPR", num_layers=1, dropout_prob=0.0)
    plain = prepared("BPR", arguments)
    found, expected = (each.data.train._sampler.seen for each in (run, plain))
    assert found.popularity().tolist() == expected.popularity().tolist()
    run.trainer.fit(run.data.train, run.data.valid, verbose=False, saved=False)


def test_dynamic_negatives_are_chosen_among_ours(prepared: Callable) -> None:
    arguments = {"distribution": "propensity", "dynamic": True, "candidate_num": 2}
    run = prepared("BPR", arguments)
    run.trainer.fit(run.data.train, run.data.valid, verbose=False, saved=False)


def test_the_strata_can_be_chosen(prepared: Callable) -> None:
    run = prepared("BPR", {"distribution": "popularity_strata", "strata": 3, "alpha": 0.5})
    sampler = run.data.train._sampler
    assert sampler.strata.max() == 2
    assert sampler.alpha == 0.5


def test_recboles_evaluation_keeps_its_own_sampler(prepared: Callable) -> None:
    arguments = {"distribution": "propensity"}
    split = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user"}
    metric = {"metrics": ["NDCG"], "valid_metric": "NDCG@10"}
    evaluation = {"protocol": "recbole", "eval_args": split | {"mode": "uni5"}, **metric}
    run = prepared("BPR", arguments, **evaluation)
    assert run.data.valid._sampler.distribution == "uniform"
    assert type(run.data.valid._sampler).__module__.startswith("recbole.")
    run.trainer.fit(run.data.train, run.data.valid, verbose=False, saved=False)


def test_held_out_items_need_no_sampler(prepared: Callable, monkeypatch: Any) -> None:
    import recbole.sampler.sampler as module

    def made(self: Any, *given: Any, **named: Any) -> None:
        pytest.fail("a sampler was made")

    monkeypatch.setattr(module.AbstractSampler, "__init__", made)
    prepared("SASRec", None)  # full cross-entropy: no negatives in training either


@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
def test_recboles_own_distributions_work(prepared: Callable, distribution: str) -> None:
    run = prepared("BPR", {"distribution": distribution})
    assert run.data.train._sampler.distribution == distribution
    run.trainer.fit(run.data.train, run.data.valid, verbose=False, saved=False)


def test_an_unknown_distribution_is_refused_with_the_valid_ones(prepared: Callable) -> None:
    with pytest.raises(
        InputError, match=r"no distribution 'exposure' \(one of uniform, .*strata\)"
    ):
        prepared("BPR", {"distribution": "exposure"})


@pytest.mark.parametrize("number", [0, -1, 1.5, "many"])
def test_an_invalid_number_of_negatives_is_refused(prepared: Callable, number: Any) -> None:
    with pytest.raises(InputError, match=r"sample_num is .* .a whole number, 1 or more"):
        prepared("BPR", {"distribution": "propensity", "sample_num": number})


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_knowledge_graphs_entities_are_drawn_uniformly(distribution: str) -> None:
    from recbole.sampler import KGSampler

    graph = SimpleNamespace(
        head_entity_field="h",
        tail_entity_field="t",
        head_entities=np.array([1, 2]),
        tail_entities=np.array([2, 3]),
        entity_num=9,
    )
    sampler = KGSampler(graph, distribution)
    assert sampler.distribution == "uniform"
    assert sampler.sample_by_entity_ids(np.array([1, 2]), 4).min() >= 1


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_same_seed_trains_to_the_same_bits(prepared: Callable, distribution: str) -> None:
    import torch

    weights = []
    for _ in range(2):
        run = prepared("BPR", {"distribution": distribution})
        run.trainer.fit(run.data.train, verbose=False, saved=False)
        weights.append(run.model.item_embedding.weight.detach().clone())
    assert torch.equal(*weights)
