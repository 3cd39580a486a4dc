"""The relations' term of the ranking, against a loop."""

from __future__ import annotations

import numpy as np
import torch

from llm4rec_recbole.components.item_relations import RelationTerm, fit_relations

USERS = np.array([1, 1, 1, 2, 2, 2, 3, 3])
ITEMS = np.array([1, 2, 4, 2, 4, 5, 1, 5])


def term(weights: torch.Tensor, index: torch.Tensor, decay: float) -> RelationTerm:
    made = RelationTerm(USERS, ITEMS, 6, 6, 1.0, decay)
    made.fit()
    made.item_item_weights, made.matrix_index = weights, index
    return made


def test_weighs_each_item_seen_by_its_age() -> None:
    torch.manual_seed(0)
    relations = torch.randn(6, 6)
    relations[0] = 0
    history = torch.tensor([[2, 4, 1], [5, 0, 0]])
    first = 0.25 * relations[2] + 0.5 * relations[4] + relations[1]
    expected = torch.stack([first, relations[5]])
    torch.testing.assert_close(term(relations, torch.arange(6), 0.5)(history), expected)


def test_an_item_without_relations_only_ages_the_others() -> None:
    relations = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 4.0], [0.0, 2.0, 0.0]])
    context = term(relations, torch.tensor([0, 0, 1, 0, 2]), 0.5)
    expected = torch.tensor([[0, 0, 0, 0, 2.0], [0, 0, 0, 0, 0], [0, 0, 2.0, 0, 0]])
    torch.testing.assert_close(context(torch.tensor([[2, 3], [1, 3], [4, 0]])), expected)


def test_the_first_use_fits() -> None:
    fresh = RelationTerm(USERS, ITEMS, 6, 10, 3.0, 0.9)
    fresh(torch.tensor([[1, 2]]))
    torch.testing.assert_close(fresh.item_item_weights, fit_relations(USERS, ITEMS, 6, 3.0).weights)
    assert not fresh.state_dict()
