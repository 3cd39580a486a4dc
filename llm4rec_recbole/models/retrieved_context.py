"""The repository's entries as soft tokens of the language model, Eqs. (7)–(10) and (12).

For a window whose every position is trained, the entries are those retrieved by what the user had
seen before the window: nothing that the positions are asked for can be among it. What was seen
counts in steps of STEP interactions, so that windows that start near one another share a query.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from llm4rec_recbole.components.context import EntryEmbedding
from llm4rec_recbole.components.repository import (
    KINDS,
    Entries,
    Repository,
    category_entries,
    item_entries,
    relation_entries,
)
from llm4rec_recbole.components.retrieval import Retriever, user_query
from llm4rec_recbole.evaluation.held_out import HeldOut
from llm4rec_recbole.models.knowledge import Knowledge
from llm4rec_recbole.training.adapt import right_after

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
        times = np.array([right_after(held_out.times[s]) for s in spans])
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
