"""The relations' term in the ranking, against a loop."""

from __future__ import annotations

import torch

from llm4rec_recbole.components.item_relations import RelationTerm


def test_weighs_each_item_seen_by_its_age() -> None:
    torch.manual_seed(0)
    relations = torch.randn(6, 6)
    relations[0] = 0
    context = RelationTerm(relations, torch.arange(6), decay=0.5, weight=3.0)
    history = torch.tensor([[2, 4, 1], [5, 0, 0]])
    first = 3 * (0.25 * relations[2] + 0.5 * relations[4] + relations[1])
    torch.testing.assert_close(context(history), torch.stack([first, 3 * relations[5]]))


def test_an_item_without_relations_only_ages_the_others() -> None:
    relations = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 7.0], [0.0, 5.0, 0.0]])
    context = RelationTerm(relations, torch.tensor([0, 0, 1, 0, 2]), decay=0.5, weight=2.0)
    expected = torch.tensor([[0, 0, 0, 0, 7.0], [0, 0, 0, 0, 0], [0, 0, 10, 0, 0]])
    torch.testing.assert_close(context(torch.tensor([[2, 3], [1, 3], [4, 0]])), expected)


def test_nothing_of_it_is_in_the_state() -> None:
    context = RelationTerm(torch.zeros(3, 3), torch.arange(3), decay=0.9, weight=1.0)
    assert not context.state_dict()
