"""The catalogue as a trie: items are leaves, and the path from the root has an item's tokens.

    item 0 = 5 7    item 1 = 5 8 9    item 2 = 6          node   0  1  2  3  4  5
                                                          token  ·  5  6  7  8  9
            0                                             parent ·  0  0  1  1  4
        5 ╱   ╲ 6                                         item   ·  ·  2  0  ·  1
         1     2 = item 2
      7 ╱ ╲ 8                                 nodes are numbered level by level, siblings by token,
       3   4                                  so the children of a node are adjacent:
           5 = item 1                         first_child[v] … first_child[v] + n_children[v] - 1

The items below a node are adjacent too, in the order of their sequences. So one cumulative sum
shows which nodes lead to an item that a user has not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from llm4rec_recbole.errors import InputError


@dataclass(frozen=True, eq=False)
class ItemTrie:
    """N nodes, the root first, and n items; all arrays int64. Made by `build`."""

    token: Tensor  # (N,) the token that leads to the node; -1 at the root
    parent: Tensor  # (N,) 0 at the root
    depth: Tensor  # (N,) tokens from the root
    first_child: Tensor  # (N,)
    n_children: Tensor  # (N,) 0 at a leaf
    item: Tensor  # (N,) the leaf's item, -1 at an inner node
    first_leaf: Tensor  # (N,) below the node lie the items
    last_leaf: Tensor  # (N,) item_order[first_leaf:last_leaf]
    item_order: Tensor  # (n,) items in the order of their sequences
    leaf: Tensor  # (n,) each item's node

    @classmethod
    def build(cls, sequences: Sequence[Sequence[int]], end: int | None = None) -> ItemTrie:
        """Build the trie of a catalogue: item i has the tokens `sequences[i]`, then `end` if given.

        Raises InputError for an empty catalogue, a negative token, `end` inside a sequence, and two
        items with one sequence. Without `end`, no sequence may be empty or begin another.
        """
        tokens = _checked(sequences, end)
        lengths = np.array([len(row) for row in tokens])
        padded = np.full((len(tokens), lengths.max()), -1, dtype=np.int64)  # (n, L)
        padded[np.arange(padded.shape[1]) < lengths[:, None]] = np.concatenate(tokens)
        order = np.lexsort(padded.T[::-1])
        rows, lengths = padded[order], lengths[order]
        first_new = _first_new(rows, lengths, order)  # (n,)

        columns = np.arange(rows.shape[1])
        inside = columns < lengths[:, None]  # (n, L)
        row, column = np.nonzero(inside & (columns >= first_new[:, None]))
        level = np.lexsort((row, column))  # level by level; within one, by sequence
        row, column = row[level], column[level]
        node_at = np.zeros_like(rows)  # (n, L), the node of each prefix
        node_at[row, column] = 1 + np.arange(len(row))
        node_at = np.maximum.accumulate(node_at, axis=0)  # a shared prefix is the row's before

        parent = np.where(column > 0, node_at[row, column - 1], 0)
        n_leaves = np.bincount(node_at[inside], minlength=len(row) + 1)[1:]
        leaf_nodes = node_at[np.arange(len(rows)), lengths - 1]
        item = np.full(len(row) + 1, -1)
        item[leaf_nodes] = order
        arrays = {
            "token": np.concatenate([[-1], rows[row, column]]),
            "parent": np.concatenate([[0], parent]),
            "depth": np.concatenate([[0], column + 1]),
            "first_child": 1 + np.searchsorted(parent, np.arange(len(row) + 1)),
            "n_children": np.bincount(parent, minlength=len(row) + 1),
            "item": item,
            "first_leaf": np.concatenate([[0], row]),
            "last_leaf": np.concatenate([[len(rows)], row + n_leaves]),
            "item_order": order,
            "leaf": leaf_nodes[np.argsort(order)],
        }
        return cls(**{name: torch.from_numpy(array) for name, array in arrays.items()})

    def __len__(self) -> int:
        """The number of nodes, the root included."""
        return len(self.token)

    @property
    def n_items(self) -> int:
        return len(self.leaf)

    @property
    def max_depth(self) -> int:
        return int(self.depth[-1])

    def to(self, device: torch.device | str) -> ItemTrie:
        """The same trie on `device`."""
        return ItemTrie(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def children(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """The children of `nodes` (…): (…, C) node numbers, and which exist, (…, C) bool; C is at
        least 1."""
        counts = self.n_children[nodes]
        column = torch.arange(max(1, int(counts.max())), device=nodes.device)
        exists = column < counts[..., None]
        return torch.where(exists, self.first_child[nodes][..., None] + column, 0), exists

    def lines(self, nodes: Tensor) -> Tensor:
        """Return which of `nodes` (N,) are ancestors of each one, or itself: (N, N) bool."""
        low, high, depth = self.first_leaf[nodes], self.last_leaf[nodes], self.depth[nodes]
        return (low <= low[:, None]) & (high[:, None] <= high) & (depth <= depth[:, None])

    def alive(self, seen: Tensor) -> Tensor:
        """Return which nodes lead to an item that is not `seen` (B, n) bool: (B, N) bool."""
        unseen = ~seen[:, self.item_order]
        before = torch.nn.functional.pad(unseen.long().cumsum(1), (1, 0))  # (B, n + 1)
        return before[:, self.last_leaf] > before[:, self.first_leaf]

    def sequences(self) -> list[list[int]]:
        """Return each item's tokens, with the end token where there is one."""
        rows: list[list[int]] = [[] for _ in range(self.n_items)]
        node = self.leaf.clone()
        while (node > 0).any():
            for item in torch.nonzero(node > 0)[:, 0].tolist():
                rows[item].append(int(self.token[node[item]]))
            node = self.parent[node]
        return [row[::-1] for row in rows]

    def shortest(self) -> ItemTrie:
        """The trie of the shortest prefixes, of at least one token, that identify the items. Later
        tokens have no alternative, so their probability over the catalogue is 1 and the scores are
        the same."""
        n_leaves = self.last_leaf - self.first_leaf
        prefixes = []
        for item, tokens in enumerate(self.sequences()):
            node, path = int(self.leaf[item]), len(tokens)
            while path > 1 and n_leaves[self.parent[node]] == 1:
                node, path = int(self.parent[node]), path - 1
            prefixes.append(tokens[:path])
        return ItemTrie.build(prefixes)


def _checked(sequences: Sequence[Sequence[int]], end: int | None) -> list[list[int]]:
    if not len(sequences):
        raise InputError("the catalogue has no items")
    ending = [] if end is None else [end]
    for item, tokens in enumerate(sequences):
        if not len(tokens) and end is None:
            raise InputError(f"item {item} has no tokens", hint="give the trie an end token")
        if end in tokens:
            raise InputError(f"item {item} has the end token {end} inside")
        if min(tokens, default=0) < 0:
            raise InputError(f"item {item} has a negative token")
    return [[*tokens, *ending] for tokens in sequences]


def _first_new(rows: np.ndarray, lengths: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return for each sorted row the first column that differs from the row before, (n,)."""
    first_new = np.zeros(len(rows), dtype=np.int64)
    if len(rows) > 1:
        differs = rows[1:] != rows[:-1]
        first_new[1:] = differs.argmax(1)
        if (same := ~differs.any(1)).any():
            row = int(same.argmax())
            one, other = sorted(order[row : row + 2])
            raise InputError(f"items {one} and {other} have the same tokens")
        if (begins := lengths[:-1] <= first_new[1:]).any():
            row = int(begins.argmax())
            message = f"the tokens of item {order[row]} begin those of item {order[row + 1]}"
            raise InputError(message, hint="give the trie an end token")
    return first_new
