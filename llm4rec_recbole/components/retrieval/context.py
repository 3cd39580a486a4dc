"""What the language model reads (Eq. 12) and what it predicts (Eq. 11).

    user ────▶ UserTokens ──────────┐
    history ─▶ item vectors ────────┼─▶ [h_user; y_1 + k_1; …; y_t + k_t] ─▶ language model (12)
    entries ─▶ RetrievedContext ────┘                                            │
                                                  softmax(W_o h_t + b_o) (11) ◀──┘

Every position of a training window is a target, so every position has a query of its own: what the
user had seen up to it. Its K entries become one token k_t, which is added to the token of the item
at that position. A block of K tokens before the history, as Eq. (12) is printed, would have to be
retrieved before the window's first target, up to 50 interactions too early for the last one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from llm4rec_recbole.components.adaptation.adapter import query_time
from llm4rec_recbole.components.retrieval.repository import (
    NO_ENTRY,
    Snapshots,
    entries_of,
    reviews_to_retrieve,
)
from llm4rec_recbole.components.retrieval.retriever import DAY, Queries, Retriever
from llm4rec_recbole.components.training_features import TrainingFeatures
from llm4rec_recbole.data.held_out import HeldOut

MAX_PREPARED = 2_000_000  # positions; with more, entries are retrieved batch by batch


def context_sequence(
    user: Tensor, history: Tensor, is_item: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The input of Eq. (12): [h_user; y_1 + k_1; …; y_t + k_t], soft tokens (B, 1 + L, d), their
    mask (B, 1 + L) int64, and their positions from 0, (B, 1 + L) int64; gaps do not count.

    user: (B, d); history: (B, L, d), the tokens of the items and of their entries, oldest first,
    padded on the right, with its mask is_item (B, L) bool. Item l is token 1 + l.
    """
    tokens = torch.cat([user[:, None], history], 1)
    mask = torch.cat([is_item.new_ones(len(user), 1), is_item], 1).long()
    return tokens, mask, (mask.cumsum(1) - 1).clamp(min=0)


def output_distribution(states: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Eq. (11): P(y_t | y_<t, h_user, K) = softmax(W_o h_t + b_o), (B, n_items). states: h_t (B,
    d); weight: W_o (n_items, d); bias: b_o (n_items,)."""
    return torch.softmax(states @ weight.T + bias, -1)


class UserTokens(nn.Module):
    """h_user of Eq. (12): a vector that all users share, plus one for each group of the user."""

    groups: Tensor

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

    def forward(self, users: Tensor) -> Tensor:
        """(B, d) from ids (B,)."""
        if not self.groups.shape[1]:
            return self.everyone.expand(len(users), -1)
        return self.everyone + self.group(self.groups[users]).sum(1)


class EntryEmbedding(nn.Module):
    """Embed(·) of Eq. (12): the item's current vector plus maps of its text, categories, reviews.

    The data of the entries are buffers outside the state dict: they come from the data set.
    """

    texts: Tensor
    categories: Tensor
    reviews: Tensor

    def __init__(self, texts: Tensor, categories: Tensor, reviews: Tensor, d: int) -> None:
        """texts: (n_items, d_text); categories: (n_items, C), numbered from 1, 0 for none; reviews:
        (n_items, R + 1, d_review), by the number of known ones."""
        super().__init__()
        self.size = reviews.shape[1]
        self.register_buffer("texts", texts, persistent=False)
        self.register_buffer("categories", categories, persistent=False)
        self.register_buffer("reviews", reviews.flatten(0, 1), persistent=False)
        self.kind = nn.Parameter(0.02 * torch.randn(d))
        self.text_map = nn.Linear(texts.shape[1], d, bias=False)
        self.review_map = nn.Linear(reviews.shape[2], d, bias=False) if self.size > 1 else None
        self.category = nn.Embedding(int(categories.max()) + 1 if categories.numel() else 1, d, 0)
        nn.init.normal_(self.category.weight[1:], std=0.02)

    def forward(self, entries: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (…, K, d) of `entries` (…, K), and their mask (…, K): -1 is no entry. table:
        (n_items, d), the items' vectors."""
        is_entry = entries >= 0
        rows = entries.clamp(min=0)
        items, item_index = (rows // self.size).unique(return_inverse=True)  # one map for each item
        categories = self.categories[items]  # (I, C)
        n_categories = (categories > 0).sum(1, keepdim=True).clamp(min=1)
        described = table[items] + self.text_map(self.texts[items]) + self.kind
        described = described + self.category(categories).sum(1) / n_categories  # (I, d)
        tokens = described[item_index]
        if self.review_map is not None:
            tokens = tokens + self.review_map(self.reviews[rows])
        return tokens, is_entry


class RetrievedContext(nn.Module):
    """Retrieves `k` entries for each position of a history (7–10) and embeds them (12). at_random:
    the null of retrieval, which draws the entries by the history alone."""

    def __init__(self, config: Any, dataset: Any, features: TrainingFeatures) -> None:
        """The component with the options of `config` and the reviews of `dataset`."""
        super().__init__()
        d, self.k = config["hidden_size"], config["retrieved_entries"]
        self.features, self.length = features, config["MAX_ITEM_LIST_LENGTH"]
        self.at_random = config["retrieved_source"] == "random"
        reviews = reviews_to_retrieve(config, dataset, config["retrieved_reviews"])
        self.reviews = reviews if features.dated else None  # without dates none is known
        vectors = features.content.text.numpy()  # (n_items, d_text)
        self.uses_text = bool(vectors.any())
        weights = (
            config["retrieval_similarity"],
            config["retrieval_recency"],
            config["retrieval_credibility"],
        )
        times = features.times if features.dated else None
        text_share = config["retrieval_text_share"]
        snapshots = Snapshots(features.users, features.items, times, vectors, text_share)
        self.retriever = Retriever(snapshots, weights, config["retrieval_sigma_days"] * DAY)
        read = np.zeros((len(vectors), 1, vectors.shape[1]), dtype=np.float32)
        if self.reviews is not None:
            read = self.reviews.vectors
        content = features.content
        self.tokens = EntryEmbedding(content.text, content.categories, torch.from_numpy(read), d)
        self.query, self.key = nn.Linear(d, d), nn.Linear(d, d)
        self.rank = nn.Parameter(torch.zeros(self.k))
        self.gate = nn.Parameter(torch.zeros(d))
        self._prepared: np.ndarray | None = None  # (N + 1, k), the entries of each training row

    def add_to(self, history: Tensor, entries: Tensor | None, table: Tensor) -> Tensor:
        """y + k_t of each position, (B, L, d): the items' tokens `history` plus their entries'.

        entries: (B, L, K), None for none; table: (n_items, d). k_t is g · √K · the mean of the K
        tokens with weights softmax(y·W·token + the rank's own weight). The gate g (d,) starts at 0.
        """
        if entries is None:
            return history
        tokens, is_entry = self.tokens(entries, table)  # (B, L, K, d), (B, L, K)
        scores = torch.einsum("bld,blkd->blk", self.query(history), self.key(tokens))
        scores = scores / history.shape[-1] ** 0.5 + self.rank
        scores = scores.masked_fill(~is_entry, torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1) * is_entry
        pooled = torch.einsum("blk,blkd->bld", weights, tokens)
        return history + self.gate * self.k**0.5 * pooled

    def before(self, position: Tensor) -> Tensor:
        """Entries (B, L, K) after each item of training windows, -1 for none.

        position: (B, L), rows of the training interactions, counted from 1, 0 at the padding. The
        query time is the time of the row's interaction.
        """
        n = len(self.features.items)
        if self._prepared is None and n <= MAX_PREPARED:
            self._prepared = np.full((n + 1, self.k), NO_ENTRY, dtype=np.int64)
            self._prepared[1:] = self._entries_of_rows(np.arange(n))
        rows = position.cpu().numpy()
        if self._prepared is not None:
            return torch.from_numpy(self._prepared[rows]).to(position.device)
        entries = np.full((*rows.shape, self.k), NO_ENTRY, dtype=np.int64)
        entries[rows > 0] = self._entries_of_rows(rows[rows > 0] - 1)
        return torch.from_numpy(entries).to(position.device)

    def now(self, held_out: HeldOut, rows: np.ndarray) -> Tensor:
        """Entries (B, L, K) for rows of `held_out`, as of the moment after each row's last item."""
        subset = held_out.subset(rows)
        histories, times = (
            np.split(ids, subset.indptr[1:-1]) for ids in (subset.items, subset.times)
        )
        # Without a history there is no moment: nothing is dated before -inf.
        moments = [query_time(seen) if len(seen) else -np.inf for seen in times]
        return self.at(histories, np.array(moments), subset.users)

    def at(self, histories: list[np.ndarray], times: np.ndarray, users: np.ndarray) -> Tensor:
        """Entries (B, L, K) for B histories, each oldest first, as of `times` (B,), in seconds, of
        `users` (B,). L is the longest history's length, at most `length`."""
        lengths = np.array([len(history) for history in histories])
        n_read = np.minimum(lengths, self.length)
        history = np.repeat(np.arange(len(lengths)), n_read)
        column = np.arange(len(history)) - np.repeat(np.cumsum(n_read) - n_read, n_read)
        queries = Queries(
            items=np.concatenate(histories),
            indptr=np.append(0, np.cumsum(lengths)),
            history=history,
            seen=(lengths - n_read)[history] + column + 1,
            users=users[history],
            times=times[history],
        )
        entries = np.full((len(lengths), int(n_read.max()), self.k), NO_ENTRY, dtype=np.int64)
        entries[history, column] = self._entries(queries)
        return torch.from_numpy(entries)

    def _entries_of_rows(self, rows: np.ndarray) -> np.ndarray:
        """Entries (P, K) after each of the training interactions `rows` (P,)."""
        features = self.features
        users, used = np.unique(features.users[rows], return_inverse=True)
        lengths = features.indptr[users + 1] - features.indptr[users]
        indptr = np.append(0, np.cumsum(lengths))
        positions = np.arange(indptr[-1]) - np.repeat(indptr[:-1] - features.indptr[users], lengths)
        queries = Queries(
            items=features.items[positions],
            indptr=indptr,
            history=used,
            seen=rows - features.indptr[features.users[rows]] + 1,
            users=features.users[rows],
            times=features.times[rows],
        )
        return self._entries(queries)

    def _entries(self, queries: Queries) -> np.ndarray:
        if not len(queries.seen):
            return np.zeros((0, self.k), dtype=np.int64)
        items = self.retriever.retrieve(queries, self.k, self.at_random)
        return entries_of(items, queries.times, self.reviews)
