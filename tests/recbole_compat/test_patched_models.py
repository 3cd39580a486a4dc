"""Each patch of RecBole's models, shown by what RecBole computes without it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from llm4rec_recbole.errors import InputError

PAIRS = [("u", "a"), ("u", "b"), ("v", "b"), ("w", "c"), ("w", "a")]


@pytest.fixture
def build(write: Callable, dataset: Callable) -> Callable[..., Any]:
    """build(name, **options): RecBole's model of that name on five interactions."""

    def make(name: str, **options: Any) -> Any:
        import torch
        from recbole.utils import get_model

        write(inter=["user_id:token | item_id:token", *(f"{u} | {i}" for u, i in PAIRS)])
        data = dataset(name, embedding_size=4, protocol="recbole", **options)
        data._change_feat_format()
        torch.manual_seed(0)
        return get_model(name)(data.config, data)

    return make


def naive_adjacency(n_users: int = 4, n_items: int = 4) -> np.ndarray:
    """D^-1/2 A D^-1/2 over users, then items, pads included; ids in order of appearance."""
    matrix = np.zeros((n_users + n_items,) * 2)
    for user, item in PAIRS:
        row, column = " uvw".index(user), n_users + " abc".index(item)
        matrix[row, column] = matrix[column, row] = 1
    degree = matrix.sum(1) + 1e-7
    return matrix / np.sqrt(np.outer(degree, degree))


@pytest.mark.parametrize("name", ["LightGCN", "NGCF", "NCL", "GCMC", "SpectralCF"])
def test_graph_models_are_built(build: Callable, name: str) -> None:
    build(name)


def test_lightgcn_has_the_normalised_adjacency(build: Callable) -> None:
    found = build("LightGCN").norm_adj_matrix.matrix.to_dense().numpy()
    np.testing.assert_allclose(found, naive_adjacency(), rtol=1e-5)


def test_lightgcn_propagates_and_learns_as_recbole(build: Callable) -> None:
    import torch

    model = build("LightGCN", n_layers=3)

    def stock_forward() -> Any:
        layers = [model.get_ego_embeddings()]
        coo = model.norm_adj_matrix.matrix.to_sparse_coo()
        for _ in range(3):
            layers.append(torch.sparse.mm(coo, layers[-1]))
        return torch.split(torch.stack(layers, dim=1).mean(dim=1), [4, 4])

    results = []
    for forward in (stock_forward, model.forward):
        model.zero_grad()
        users, items = forward()
        (users @ items.T).square().sum().backward()
        gradients = (model.user_embedding.weight.grad, model.item_embedding.weight.grad)
        results.append([users.detach(), items.detach(), *(g.clone() for g in gradients)])
    for stock, ours in zip(*results):
        torch.testing.assert_close(stock, ours, rtol=1e-5, atol=1e-7)


def test_lightgcn_uses_the_fast_layout(build: Callable) -> None:
    import torch

    model = copy.deepcopy(build("LightGCN"))  # as RecBole does to count its operations
    assert model.norm_adj_matrix.matrix.layout == torch.sparse_csr


def test_a_teacher_is_a_name_not_code() -> None:
    from recbole.model.context_aware_recommender import kd_dagfm

    assert kd_dagfm.eval("CrossNet") is kd_dagfm.CrossNet
    for text in ("__import__('os').mkdir('run')", "np", "NoSuchNet"):
        with pytest.raises(InputError, match="no teacher"):
            kd_dagfm.eval(text)


def test_pop_counts_an_item_as_often_as_a_batch_holds_it():
    from types import SimpleNamespace

    import torch
    from recbole.model.general_recommender.pop import Pop

    pop = SimpleNamespace(
        ITEM_ID="item", item_cnt=torch.zeros(4, 1, dtype=torch.long), device="cpu"
    )
    Pop.calculate_loss(pop, {"item": torch.tensor([1, 3, 3, 3])})
    Pop.calculate_loss(pop, {"item": torch.tensor([3, 1])})
    assert pop.item_cnt[:, 0].tolist() == [0, 2, 0, 4]
    assert pop.max_cnt.item() == 4
