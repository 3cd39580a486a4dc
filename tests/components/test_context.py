from __future__ import annotations

import numpy as np
import torch
from torch.autograd import gradcheck

from llm4rec_recbole.components.retrieval.context import (
    EntryEmbedding,
    context_sequence,
    output_distribution,
)

D = 3


def test_eq11_output_distribution() -> None:
    random = np.random.default_rng(0)
    h, w, b = random.normal(size=(2, D)), random.normal(size=(5, D)), random.normal(size=5)
    e = [
        [np.exp(sum(x * y for x, y in zip(row, column)) + c) for column, c in zip(w, b)]
        for row in h
    ]
    expected = [[value / sum(row) for value in row] for row in e]
    got = output_distribution(*map(torch.from_numpy, (h, w, b)))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_eq12_context_sequence() -> None:
    user, retrieved, history = torch.randn(2, D), torch.randn(2, 2, D), torch.randn(2, 3, D)
    is_retrieved = torch.tensor([[True, True], [True, False]])
    is_item = torch.tensor([[True, True, True], [True, True, False]])
    embeddings, mask, positions = context_sequence(user, retrieved, is_retrieved, history, is_item)
    for row in range(2):
        expected = [user[row], *retrieved[row], *history[row]]
        assert all(torch.equal(a, b) for a, b in zip(embeddings[row], expected))
    assert mask.tolist() == [[1, 1, 1, 1, 1, 1], [1, 1, 0, 1, 1, 0]]
    assert positions[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert positions[1, mask[1] > 0].tolist() == [0, 1, 2, 3]  # the gap moves nothing


def test_nothing_retrieved_leaves_user_and_history() -> None:
    none = torch.zeros(1, 0, D), torch.zeros(1, 0, dtype=torch.bool)
    got = context_sequence(torch.ones(1, D), *none, torch.ones(1, 2, D), torch.ones(1, 2).bool())
    assert got.embeddings.shape == (1, 3, D)
    assert got.mask.tolist() == [[1, 1, 1]]


def test_gradients_reach_every_token() -> None:
    there = torch.tensor([[True, False]])

    def chain(
        user: torch.Tensor, retrieved: torch.Tensor, history: torch.Tensor, w: torch.Tensor
    ) -> torch.Tensor:
        made = context_sequence(user, retrieved, there, history, there)
        return output_distribution((made.embeddings * made.mask[..., None]).sum(1), w, w[:, 0])

    shapes = ((1, D), (1, 2, D), (1, 2, D), (4, D))
    assert gradcheck(
        chain, [torch.randn(s, dtype=torch.double, requires_grad=True) for s in shapes]
    )


def test_an_entry_is_its_key_and_its_kind() -> None:
    keys, kinds = torch.randn(3, 4), torch.tensor([0, 1, 1])
    embed = EntryEmbedding(keys, kinds, n_kinds=2, d=D)
    tokens, there = embed(torch.tensor([[2, -1]]))
    torch.testing.assert_close(tokens[0, 0], embed.map(keys[2]) + embed.kind.weight[1])
    assert there.tolist() == [[True, False]]
    assert set(embed.state_dict()) == {"map.weight", "map.bias", "kind.weight"}
