"""How retrieved knowledge enters the language model, Eq. (12), and what leaves it, Eq. (11)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from llm4rec_recbole.components.adaptation.steps import query_time
from llm4rec_recbole.components.item_relations import relation_scores
from llm4rec_recbole.components.retrieval.repository import (
    KINDS,
    Entries,
    Repository,
    category_entries,
    item_entries,
    relation_entries,
)
from llm4rec_recbole.components.retrieval.retriever import Retriever, user_query
from llm4rec_recbole.components.training_features import Knowledge
from llm4rec_recbole.data.held_out import HeldOut


class Sequence(NamedTuple):
    """What a language model reads instead of words: soft tokens."""

    embeddings: torch.Tensor  # (B, 1 + K + L, d)
    mask: torch.Tensor  # (B, 1 + K + L) int64, 0 where there is no token
    positions: torch.Tensor  # (B, 1 + K + L) int64, tokens counted from 0, gaps left out


def context_sequence(
    user: torch.Tensor,
    retrieved: torch.Tensor,
    is_retrieved: torch.Tensor,
    history: torch.Tensor,
    is_item: torch.Tensor,
) -> Sequence:
    """The input of Eq. (12), [h_user; Embed(K_retrieved); y_<t].

    user: (B, d); retrieved: (B, K, d), which of them there are: (B, K) bool; history: (B, L, d),
    oldest first, padded on the right, which of it there is: (B, L) bool. Under a causal mask every
    position of the history sees the user and all that was retrieved: that must then be known
    before the first of the positions that are trained. Item l of the history is token 1 + K + l.
    """
    embeddings = torch.cat([user[:, None], retrieved, history], 1)
    there = torch.cat([is_item.new_ones(len(user), 1), is_retrieved, is_item], 1).long()
    return Sequence(embeddings, there, (there.cumsum(1) - 1).clamp(min=0))


def output_distribution(
    states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Eq. (11): P(y_t | y_<t, h_user, K) = softmax(W_o h_t + b_o), (B, n_items).

    states: h_t (B, d); weight: W_o (n_items, d); bias: b_o (n_items,).
    """
    return torch.softmax(states @ weight.T + bias, -1)


class EntryEmbedding(nn.Module):
    """Embed(·) of Eq. (12): a repository entry's key, mapped to d, plus a vector for its kind.

    keys: (E, d_key) float32; kinds: (E,) int64, numbered from 0; both are kept out of the state
    dict, as they come from the data set.
    """

    keys: torch.Tensor
    kinds: torch.Tensor

    def __init__(self, keys: torch.Tensor, kinds: torch.Tensor, n_kinds: int, d: int) -> None:
        super().__init__()
        self.register_buffer("keys", keys, persistent=False)
        self.register_buffer("kinds", kinds, persistent=False)
        self.map = nn.Linear(keys.shape[1], d)
        self.kind = nn.Embedding(n_kinds, d)

    def forward(self, entries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, K, d) of `entries` (B, K), and which there are (B, K): -1 is none."""
        there = entries >= 0
        rows = entries.clamp(min=0)
        return self.map(self.keys[rows]) + self.kind(self.kinds[rows]), there


# The repository's entries as soft tokens of the language model, Eqs. (7)–(10) and (12).
#
# For a window whose every position is trained, the entries are those retrieved by what the user had
# seen before the window: nothing that the positions are asked for can be among it. What was seen
# counts in steps of STEP interactions, so that windows that start near one another share a query.


STEP = 16  # interactions
QUERY_LENGTH = 50  # of the items seen, the latest make the query
DECAY = 0.9  # what an item weighs in the query, against the one after it


class RetrievedContext(nn.Module):
    """Retrieves `k` entries for each history, and embeds them. Needs items with texts."""

    def __init__(self, known: Knowledge, reviews: Entries | None, d: int, k: int) -> None:
        super().__init__()
        self.known, self.k = known, k
        self.vectors = known.content.text.numpy()  # (n_items, d_text)
        repository = Repository(
            item_entries(self.vectors, known.items, known.times),
            category_entries(self.vectors, known.categories),
            relation_entries(self.vectors, known.users, known.items, known.times),
            *([] if reviews is None else [reviews]),
        )
        self.retriever = Retriever(repository, known.n_items)
        entries = repository.entries
        self.tokens = EntryEmbedding(
            torch.from_numpy(entries.keys), torch.from_numpy(entries.kinds), len(KINDS), d
        )
        self._cache: dict[int, np.ndarray] = {}

    def before(self, position: torch.Tensor) -> torch.Tensor:
        """Entries (B, k), -1 for none, by what was seen before each window.

        position: (B, L), places among the training interactions, counted from 1.
        """
        first = position[:, 0].cpu().numpy() - 1
        start = self.known.indptr[self.known.users[first]]
        stops = start + (first - start) // STEP * STEP  # what was seen: rows start … stop - 1
        missing = [(a, b) for a, b in zip(start, stops) if b > a and b not in self._cache]
        if missing:
            histories = [self.known.items[a:b] for a, b in missing]
            times = np.array([self.known.times[b] for _, b in missing])
            found = self._retrieve(histories, times)
            self._cache |= {int(b): entries for (_, b), entries in zip(missing, found)}
        nothing = np.full(self.k, -1, dtype=np.int64)
        rows = [self._cache[int(b)] if b > a else nothing for a, b in zip(start, stops)]
        return torch.from_numpy(np.stack(rows)).to(position.device)

    def now(self, held_out: HeldOut, rows: np.ndarray) -> torch.Tensor:
        """Entries (B, k) by all that each row of `held_out` has seen, right after it."""
        spans = [slice(held_out.indptr[row], held_out.indptr[row + 1]) for row in rows]
        times = np.array([query_time(held_out.times[s]) for s in spans])
        return self.at([held_out.items[s] for s in spans], times)

    def at(self, histories: list[np.ndarray], times: np.ndarray) -> torch.Tensor:
        """Entries (B, k) by B histories, each oldest first, asked at `times` (B,), in seconds."""
        return torch.from_numpy(self._retrieve(histories, times))

    def _retrieve(self, histories: list[np.ndarray], times: np.ndarray) -> np.ndarray:
        width = max(len(history) for history in histories)
        seen = np.zeros((len(histories), width), dtype=np.int64)
        for row, history in enumerate(histories):
            seen[row, : len(history)] = history[::-1]  # the latest first: its age is its column
        latest = seen[:, :QUERY_LENGTH]
        ages = np.broadcast_to(np.arange(latest.shape[1]), latest.shape)
        queries = user_query(self.vectors, latest, ages, DECAY)
        return self.retriever.retrieve(queries, times, seen, self.k).entries


# The items that a history's relations retrieve, as knowledge in the softmax over the catalogue.
#
#     Eq. (11) with knowledge:  softmax(W_o h_t + b_o + λ_r · s_t),  s_t the relations' scores
#
# What s_t is made of is components/relations.py: item–item relations from the training
# interactions,
# weighted by how long ago the items were had. It enters when the model is asked, not while it
# learns,
# as the neighbours of kNN-LM do (Khandelwal et al., ICLR 2020): a language model that learned
# beside
# it would learn only what the relations leave over, and the two are then worth less than their sum
# (docs/enhanced_genrec.md).


class RelationContext(nn.Module):
    """Scores of related items.

    relations: B, (M, M); places: (n_items,) each item's row of it, 0 for one that has no relations
    and for the pad. Both come from the data, so they are kept out of the state dict. decay: γ,
    what an item weighs against the one after it; weight: λ_r.
    """

    relations: torch.Tensor
    places: torch.Tensor

    def __init__(
        self, relations: torch.Tensor, places: torch.Tensor, decay: float, weight: float
    ) -> None:
        super().__init__()
        self.register_buffer("relations", relations, persistent=False)
        self.register_buffer("places", places, persistent=False)
        self.decay, self.weight = decay, weight

    def forward(self, history: torch.Tensor) -> torch.Tensor:
        """λ_r s, (B, n_items), of histories (B, L), oldest first, padded on the right."""
        lengths = (history > 0).sum(1, keepdim=True)  # (B, 1)
        ages = (lengths - 1 - torch.arange(history.shape[1], device=history.device)).clamp(min=0)
        scores = relation_scores(self.places[history], ages, self.relations, self.decay)  # (B, M)
        return self.weight * scores[:, self.places]
