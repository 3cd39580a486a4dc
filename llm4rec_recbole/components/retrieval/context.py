"""What the language model reads (Eq. 12) and what it predicts (Eq. 11).

    user ────▶ UserTokens ───────┐
    entries ─▶ EntryEmbedding ───┼─▶ [h_user; Embed(K_retrieved); y_<t] ─▶ language model (12)
    history ─▶ item vectors ─────┘                                             │
                                              softmax(W_o h_t + b_o) (11) ◀────┘

In training every position of a window is a target. The entries for a window are therefore retrieved
by what the user had seen before the window: they cannot contain a target. The number of items seen
is rounded down to a multiple of STEP, so that windows that start close together share one query.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from llm4rec_recbole.components.adaptation.adapter import query_time
from llm4rec_recbole.components.retrieval.repository import (
    KINDS,
    Entries,
    Repository,
    category_entries,
    item_entries,
    relation_entries,
)
from llm4rec_recbole.components.retrieval.retriever import Retriever, user_query
from llm4rec_recbole.components.training_features import TrainingFeatures
from llm4rec_recbole.data.held_out import HeldOut

STEP = 16  # interactions
QUERY_LENGTH = 50  # the query is made of this many of the latest items
DECAY = 0.9  # weight of an item in the query, against the next one


class Sequence(NamedTuple):
    """Soft tokens: what a language model reads instead of words."""

    embeddings: torch.Tensor  # (B, 1 + K + L, d)
    mask: torch.Tensor  # (B, 1 + K + L) int64, 0 where there is no token
    positions: torch.Tensor  # (B, 1 + K + L) int64, tokens counted from 0; gaps do not count


def context_sequence(
    user: torch.Tensor,
    retrieved: torch.Tensor,
    is_retrieved: torch.Tensor,
    history: torch.Tensor,
    is_item: torch.Tensor,
) -> Sequence:
    """The input of Eq. (12): [h_user; Embed(K_retrieved); y_<t].

    user: (B, d); retrieved: (B, K, d) with its mask is_retrieved (B, K) bool; history: (B, L, d),
    oldest first, padded on the right, with its mask is_item (B, L) bool. Item l of the history is
    token 1 + K + l. Under a causal mask every position of the history sees the user and all
    retrieved entries, so these must be known before the first position that is trained.
    """
    embeddings = torch.cat([user[:, None], retrieved, history], 1)
    mask = torch.cat([is_item.new_ones(len(user), 1), is_retrieved, is_item], 1).long()
    return Sequence(embeddings, mask, (mask.cumsum(1) - 1).clamp(min=0))


def output_distribution(
    states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Eq. (11): P(y_t | y_<t, h_user, K) = softmax(W_o h_t + b_o), (B, n_items).

    states: h_t (B, d); weight: W_o (n_items, d); bias: b_o (n_items,).
    """
    return torch.softmax(states @ weight.T + bias, -1)


class UserTokens(nn.Module):
    """h_user of Eq. (12): a vector that all users share, plus one for each group of the user."""

    groups: torch.Tensor

    def __init__(self, groups: dict[str, np.ndarray], d: int) -> None:
        """groups: {attribute: (n_users,) int64, -1 where unknown}; d: size of the token."""
        super().__init__()
        columns, first = [], 1  # 0 stands for an unknown group of any attribute
        for numbers in groups.values():
            columns.append(np.where(numbers >= 0, numbers + first, 0))
            first += int(numbers.max(initial=-1)) + 1
        stacked = np.stack(columns, 1) if columns else np.zeros((1, 0), dtype=np.int64)
        self.register_buffer("groups", torch.from_numpy(stacked), persistent=False)
        self.everyone = nn.Parameter(0.02 * torch.randn(d))
        self.group = nn.Embedding(first, d, padding_idx=0)
        nn.init.normal_(self.group.weight[1:], std=0.02)

    def forward(self, users: torch.Tensor) -> torch.Tensor:
        """(B, d) from ids (B,)."""
        if not self.groups.shape[1]:
            return self.everyone.expand(len(users), -1)
        return self.everyone + self.group(self.groups[users]).sum(1)


class EntryEmbedding(nn.Module):
    """Embed(·) of Eq. (12): a repository entry's key, mapped to d, plus a vector for its kind."""

    keys: torch.Tensor
    kinds: torch.Tensor

    def __init__(self, keys: torch.Tensor, kinds: torch.Tensor, n_kinds: int, d: int) -> None:
        """keys: (E, d_key) float32; kinds: (E,) int64, counted from 0. Both are computed from the
        data set, so they are not in the state dict."""
        super().__init__()
        self.register_buffer("keys", keys, persistent=False)
        self.register_buffer("kinds", kinds, persistent=False)
        self.map = nn.Linear(keys.shape[1], d)
        self.kind = nn.Embedding(n_kinds, d)

    def forward(self, entries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, K, d) of `entries` (B, K), and their mask (B, K): -1 is no entry."""
        is_entry = entries >= 0
        rows = entries.clamp(min=0)
        return self.map(self.keys[rows]) + self.kind(self.kinds[rows]), is_entry


class RetrievedContext(nn.Module):
    """Retrieves `k` entries for each history (7–10) and embeds them (12). Needs items with text.

    at_random: draw entries dated before the query at random instead. Which entries are drawn
    depends on the history alone. It is the null of retrieval.
    """

    uses_text = True

    def __init__(
        self,
        features: TrainingFeatures,
        reviews: Entries | None,
        d: int,
        k: int,
        at_random: bool = False,
    ) -> None:
        super().__init__()
        self.features, self.k, self.at_random = features, k, at_random
        self.vectors = features.content.text.numpy()  # (n_items, d_text)
        repository = Repository(
            item_entries(self.vectors, features.items, features.times),
            category_entries(self.vectors, features.categories),
            relation_entries(self.vectors, features.users, features.items, features.times),
            *([] if reviews is None else [reviews]),
        )
        self.retriever = Retriever(repository, features.n_items)
        entries = repository.entries
        self.tokens = EntryEmbedding(
            torch.from_numpy(entries.keys), torch.from_numpy(entries.kinds), len(KINDS), d
        )
        self._cache: dict[int, np.ndarray] = {}

    def before(self, position: torch.Tensor) -> torch.Tensor:
        """Entries (B, k), -1 for none, by what the user had seen before each training window.

        position: (B, L), rows of the training interactions, counted from 1.
        """
        first = position[:, 0].cpu().numpy() - 1
        start = self.features.indptr[self.features.users[first]]
        stops = start + (first - start) // STEP * STEP  # rows start … stop - 1 were seen
        missing = [(a, b) for a, b in zip(start, stops) if b > a and b not in self._cache]
        if missing:
            histories = [self.features.items[a:b] for a, b in missing]
            times = np.array([self.features.times[b] for _, b in missing])
            retrieved = self._retrieve(histories, times)
            self._cache |= {int(b): entries for (_, b), entries in zip(missing, retrieved)}
        nothing = np.full(self.k, -1, dtype=np.int64)
        rows = [self._cache[int(b)] if b > a else nothing for a, b in zip(start, stops)]
        return torch.from_numpy(np.stack(rows)).to(position.device)

    def now(self, held_out: HeldOut, rows: np.ndarray) -> torch.Tensor:
        """Entries (B, k) for rows of `held_out`, as of the moment after each row's last item."""
        spans = [slice(held_out.indptr[row], held_out.indptr[row + 1]) for row in rows]
        times = [held_out.times[span] for span in spans]
        # Without a history there is no moment: nothing is dated before -inf.
        moments = [query_time(seen) if len(seen) else -np.inf for seen in times]
        return self.at([held_out.items[span] for span in spans], np.array(moments))

    def at(self, histories: list[np.ndarray], times: np.ndarray) -> torch.Tensor:
        """Entries (B, k) for B histories, each oldest first, as of `times` (B,), in seconds."""
        return torch.from_numpy(self._retrieve(histories, times))

    def _draw(self, histories: list[np.ndarray], times: np.ndarray) -> np.ndarray:
        """Random entries (B, k) dated before `times`, -1 where there are fewer."""
        dates = self.retriever.repository.entries.times
        entries = np.full((len(histories), self.k), -1, dtype=np.int64)
        for row, (history, now) in enumerate(zip(histories, times)):
            dated = np.flatnonzero(dates < now)
            n = min(self.k, len(dated))
            random = np.random.default_rng([len(history), int(history.sum())])
            entries[row, :n] = random.choice(dated, n, replace=False)
        return entries

    def _retrieve(self, histories: list[np.ndarray], times: np.ndarray) -> np.ndarray:
        if self.at_random:
            return self._draw(histories, times)
        width = max(len(history) for history in histories)
        seen = np.zeros((len(histories), width), dtype=np.int64)
        for row, history in enumerate(histories):
            seen[row, : len(history)] = history[::-1]  # the latest first: age = column
        latest = seen[:, :QUERY_LENGTH]
        ages = np.broadcast_to(np.arange(latest.shape[1]), latest.shape)
        queries = user_query(self.vectors, latest, ages, DECAY)
        return self.retriever.retrieve(queries, times, seen, self.k).entries
