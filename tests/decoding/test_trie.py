"""The item trie, against plain dictionaries of prefixes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llm4rec_recbole.decoding.trie import ItemTrie
from llm4rec_recbole.errors import InputError
from tests.helpers.tiny_language_models import END, catalogues


def prefixes(sequences, end):
    with_end = [(*s, end) for s in sequences]
    return {s[:length] for s in with_end for length in range(len(s) + 1)}


def path(trie, node):
    tokens = []
    while node:
        tokens.append(int(trie.token[node]))
        node = int(trie.parent[node])
    return tuple(tokens[::-1])


def test_the_example_in_the_docstring():
    trie = ItemTrie.build([[5, 7], [5, 8, 9], [6]])
    assert trie.token.tolist() == [-1, 5, 6, 7, 8, 9]
    assert trie.parent.tolist() == [0, 0, 0, 1, 1, 4]
    assert trie.item.tolist() == [-1, -1, 2, 0, -1, 1]
    assert trie.first_child[:2].tolist() == [1, 3]
    assert trie.n_children.tolist() == [2, 2, 0, 0, 1, 0]
    assert trie.leaf.tolist() == [3, 5, 2]


@given(catalogues)
def test_nodes_are_the_prefixes_and_leaves_the_items(sequences):
    trie = ItemTrie.build(sequences, END)
    assert {path(trie, node) for node in range(len(trie))} == prefixes(sequences, END)
    assert len(trie) == len(prefixes(sequences, END))
    assert trie.sequences() == [[*s, END] for s in sequences]
    for item, node in enumerate(trie.leaf.tolist()):
        assert trie.item[node] == item


@given(catalogues)
def test_children_continue_their_node_by_one_token(sequences):
    trie = ItemTrie.build(sequences, END)
    children, exists = trie.children(torch.arange(len(trie)))
    for node in range(len(trie)):
        own = children[node][exists[node]].tolist()
        assert own == [c for c in range(1, len(trie)) if trie.parent[c] == node]
        assert all(trie.depth[c] == trie.depth[node] + 1 for c in own)


@given(catalogues, st.data())
def test_a_node_is_alive_while_an_item_below_it_is_unseen(sequences, data):
    trie = ItemTrie.build(sequences, END)
    seen = data.draw(st.lists(st.booleans(), min_size=len(sequences), max_size=len(sequences)))
    alive = trie.alive(torch.tensor([seen]))[0]
    unseen = [s for s, was_seen in zip(sequences, seen) if not was_seen]
    expected = prefixes(unseen, END) if unseen else set()
    assert {path(trie, node) for node in torch.nonzero(alive)[:, 0].tolist()} == expected


@given(catalogues)
def test_the_shortest_prefixes_identify_every_item(sequences):
    with_end = [(*s, END) for s in sequences]
    short = ItemTrie.build(sequences, END).shortest().sequences()
    for item, tokens in enumerate(map(tuple, short)):
        sharing = [s[: len(tokens)] == tokens for s in with_end]
        assert [i for i, shares in enumerate(sharing) if shares] == [item]
        if len(tokens) > 1:  # one token less would not do
            assert sum(s[: len(tokens) - 1] == tokens[:-1] for s in with_end) > 1


@pytest.mark.parametrize(
    ("sequences", "end", "message"),
    [
        ([], 1, "no items"),
        ([[2], [3], [2]], 1, "items 0 and 2 have the same tokens"),
        ([[2, 3], [2]], None, "item 1 begin those of item 0"),
        ([[2], []], None, "item 1 has no tokens"),
        ([[2, 1]], 1, "end token 1 inside"),
        ([[2], [-3]], 1, "item 1 has a negative token"),
    ],
)
def test_a_catalogue_that_cannot_be_spelt_is_refused(sequences, end, message):
    with pytest.raises(InputError, match=message):
        ItemTrie.build(sequences, end)
