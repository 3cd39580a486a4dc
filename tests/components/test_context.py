from __future__ import annotations

import numpy as np
import torch
from torch.autograd import gradcheck

from llm4rec_recbole.components.retrieval.context import (
    EntryEmbedding,
    RetrievedContext,
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
    user, history = torch.randn(2, D), torch.randn(2, 3, D)
    is_item = torch.tensor([[True, True, True], [True, True, False]])
    embeddings, mask, positions = context_sequence(user, history, is_item)
    for row in range(2):
        assert all(torch.equal(a, b) for a, b in zip(embeddings[row], [user[row], *history[row]]))
    assert mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert positions.tolist() == [[0, 1, 2, 3], [0, 1, 2, 2]]


def embedding(n_reviews: int = 1) -> EntryEmbedding:
    torch.manual_seed(0)
    categories = torch.tensor([[0, 0], [1, 2], [2, 0], [0, 0]])
    return EntryEmbedding(torch.randn(4, 5), categories, torch.randn(4, n_reviews + 1, 5), D)


def test_an_entry_is_its_items_vector_text_categories_and_known_reviews() -> None:
    embed, table = embedding(), torch.randn(4, D)
    entries = torch.tensor([[[2 * 1 + 1, 2 * 2, -1], [2 * 3, 2 * 1, 2 * 2 + 1]]])
    tokens, is_entry = embed(entries, table)
    assert tokens.shape == (1, 2, 3, D)
    assert is_entry.tolist() == [[[True, True, False], [True, True, True]]]
    category = embed.category.weight
    first = table[1] + embed.text_map(embed.texts[1]) + embed.kind + (category[1] + category[2]) / 2
    first = first + embed.review_map(embed.reviews[3])
    torch.testing.assert_close(tokens[0, 0, 0], first)
    last = table[3] + embed.text_map(embed.texts[3]) + embed.kind
    torch.testing.assert_close(tokens[0, 1, 0], last + embed.review_map(embed.reviews[6]))
    assert not {"texts", "categories", "reviews"} & set(embed.state_dict())
    assert embedding(0).review_map is None


def context(weights: torch.Tensor) -> RetrievedContext:
    """The pooling alone, without data."""
    made = RetrievedContext.__new__(RetrievedContext)
    torch.nn.Module.__init__(made)
    made.tokens, made.query, made.key = embedding(), torch.nn.Linear(D, D), torch.nn.Linear(D, D)
    made.rank, made.k = torch.nn.Parameter(weights), len(weights)
    made.gate = torch.nn.Parameter(torch.ones(D) / len(weights) ** 0.5)
    return made


def test_a_positions_token_is_its_item_plus_a_mean_of_its_entries() -> None:
    made, table, history = context(torch.randn(2)), torch.randn(4, D), torch.randn(1, 3, D)
    entries = torch.tensor([[[2, 4], [3, -1], [-1, -1]]])
    tokens, _ = made.tokens(entries, table)
    got = made.add_to(history, entries, table)
    logits = made.key(tokens[0, 0]) @ made.query(history[0, 0]) / D**0.5 + made.rank
    expected = history[0, 0] + logits.softmax(0) @ tokens[0, 0]
    torch.testing.assert_close(got[0, 0], expected)
    torch.testing.assert_close(got[0, 1], history[0, 1] + tokens[0, 1, 0])
    assert torch.equal(got[0, 2], history[0, 2])
    assert torch.equal(made.add_to(history, None, table), history)


def test_gradients_reach_the_items_that_were_retrieved() -> None:
    made = context(torch.randn(2)).double()
    entries = torch.tensor([[[2, 4], [3, -1]]])
    history, table = torch.randn(1, 2, D).double(), torch.randn(4, D).double()
    inputs = (history.requires_grad_(), table.requires_grad_())
    assert gradcheck(lambda y, e: made.add_to(y, entries, e), inputs)
    made.add_to(history, entries, table).sum().backward()
    assert table.grad[1:3].any(1).all()
