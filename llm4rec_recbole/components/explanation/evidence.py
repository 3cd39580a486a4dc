"""Which items of the user's own history an item is like: Eqs. (21) and (22)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from llm4rec_recbole.components.explanation.aspects import (
    item_given_aspects,
    ranking_score,
    taste_of_history,
)
from llm4rec_recbole.components.explanation.context import (
    at_length_sqrt_d,
    context_attention,
    context_parts,
    trend,
)
from llm4rec_recbole.components.explanation.templates import (
    TypeWeights,
    choose_template,
    type_weights,
)
from llm4rec_recbole.components.retrieval.retriever import cosine_similarity, top_k


def item_similarity(items: np.ndarray, history: np.ndarray) -> np.ndarray:
    """Eq. (21): cos(e_i, e_j) of items' embeddings (I, d) and a history's (S, d), (I, S); 0 where
    either is zero."""
    return cosine_similarity(items, history)


def most_similar(similarity: np.ndarray, k: int) -> np.ndarray:
    """Eq. (22): the places of the k items of the history that are most similar, most similar first.

    similarity: (S,), oldest first; of equals the later comes first. Only what is similar at all
    counts: fewer than k where fewer are above 0.
    """
    latest_first = similarity[::-1]
    places = len(similarity) - 1 - top_k(latest_first, k)
    return places[similarity[places] > 0]


def interaction_vectors(
    users: np.ndarray, items: np.ndarray, n_items: int, d: int = 64
) -> np.ndarray:
    """Item embeddings (n_items, d) for a model that has none: who had an item, in d dimensions.

    users, items: (N,), the training interactions. PureSVD (Cremonesi et al., RecSys 2010): the
    interaction matrix's right singular vectors times its singular values, so that their cosines
    come close to those of the columns. With fewer than d users or items these are not reduced.
    """
    pairs = sp.csr_matrix(
        (np.ones(len(items)), (users, items)), (int(users.max(initial=0)) + 1, n_items)
    )
    pairs.data[:] = 1.0  # once, however often
    if min(pairs.shape) <= d:
        return pairs.T.toarray().astype(np.float32)
    start = np.random.default_rng(0).normal(size=min(pairs.shape))
    _, sizes, directions = sp.linalg.svds(pairs, k=d, v0=start)
    return (directions.T * sizes).astype(np.float32)


# What speaks for an item: all that a sentence about it may name.
#
# `Evidence` is in raw tokens and names, to be read and printed; `Gatherer` collects it by internal
# id. Nothing in it needs a model of a certain kind: a model lends its item vectors and its user's
# taste where it has them.


CITED = 3  # items of the history, K of Eq. (22)
LATEST = 5  # items that make up h_time; as many as CITED of them are named


@dataclass(frozen=True)
class Aspect:
    """A category of the item. Only one that the user likes better than usual speaks for it."""

    name: str
    weight: float  # its share of the user's taste, p_uk of Eq. (19), 0 where that is not known
    usual: float  # its share of the catalogue

    @property
    def liked(self) -> bool:
        return self.weight > self.usual


@dataclass(frozen=True)
class CitedItem:
    """An item of the user's history, and its cosine to the explained one, Eq. (21)."""

    item: str  # raw token
    title: str  # "" where it has none
    similarity: float

    @property
    def name(self) -> str:
        return display_name(self.item, self.title)


@dataclass(frozen=True)
class RecentContext:
    """The context, Eq. (23): attention weights, and what they stand for."""

    time: float  # weight of what the user had last
    latest: tuple[CitedItem, ...]  # that, the last first
    trend: float  # weight of what is on the rise, 0 unless the item is
    recent: int  # how often the item was chosen in the 30 days before


@dataclass(frozen=True)
class Evidence:
    """What speaks for `item`; empty parts are what the data set or the history does not have."""

    user: str
    item: str
    title: str
    aspects: tuple[Aspect, ...]  # all of the item's, those the user likes most first
    similar: tuple[CitedItem, ...]  # the most similar first
    context: RecentContext
    weights: TypeWeights  # of Eq. (25)
    template: str  # "preference", "similarity", "context" or "none"

    @property
    def name(self) -> str:
        return display_name(self.item, self.title)

    @property
    def likes(self) -> tuple[str, ...]:
        """The categories that speak for the item, the most liked first."""
        return tuple(aspect.name for aspect in self.aspects if aspect.liked)

    @property
    def names(self) -> tuple[str, ...]:
        """What a sentence may call items: the item's own name, and those of the cited."""
        cited = (*self.similar, *self.context.latest)
        return tuple(dict.fromkeys([self.name, *(c.name for c in cited)]))


def display_name(token: str, title: str) -> str:
    """What an item is called: its title in quotation marks, or `item 7` where it has none."""
    return f'"{title}"' if any(map(str.isalnum, title)) else f"item {token}"


@dataclass(frozen=True, eq=False)
class ItemNames:
    """What items are called, by internal id; the pad's entries are empty."""

    tokens: Sequence[str]  # (n_items,) raw
    titles: Sequence[str]  # (n_items,), "" where there is none
    aspects: np.ndarray  # (n_items, A) bool
    aspect_names: Sequence[str]  # (A,)


class EvidenceCollector:
    """Gathers evidence for any user and item of a data set.

    vectors: (n_items, d), item embeddings; items, times: (N,), the training interactions, in
    seconds, for what is on the rise.
    """

    def __init__(
        self, names: ItemNames, vectors: np.ndarray, items: np.ndarray, times: np.ndarray
    ) -> None:
        self.names, self.items, self.times = names, items, times
        self.vectors = at_length_sqrt_d(vectors)  # (n_items, d)
        self.aspects, self.aspect_names = names.aspects.astype(np.float64), names.aspect_names

    def cited(self, history: np.ndarray, item: int) -> np.ndarray:
        """The ids of the items of the history that an explanation of `item` cites: Eq. (22), at
        most CITED. history: (S,) ids, oldest first."""
        others = history[history != item]
        similarity = item_similarity(self.vectors[[item]], self.vectors[others])[0]
        return others[most_similar(similarity, CITED)]

    def evidence(
        self,
        user: str,
        item: int,
        history: np.ndarray,
        now: float,
        taste: np.ndarray | None = None,
    ) -> Evidence:
        """What speaks for `item`.

        user: raw token; history: (S,) ids, oldest first, what the model reads of the user; now: the
        moment, in seconds: nothing from then on is looked at; taste: p_u (A,) of the model, by the
        data set's aspects, or None for that of the history.
        """
        others = np.setdiff1d(np.arange(1, len(self.vectors)), [item, *history])  # candidates
        history = history[history != item]
        aspects, of_taste = self._aspects(item, history, taste)
        similar, of_similarity = self._similar(item, history)
        at, of_context = self._moment(item, history, now)
        weights = type_weights(item, others, of_taste, of_similarity, of_context)
        token, title = str(self.names.tokens[item]), self.names.titles[item]
        template = choose_template(weights)
        return Evidence(user, token, title, aspects, similar, at, weights, template)

    def _aspects(
        self, item: int, history: np.ndarray, taste: np.ndarray | None
    ) -> tuple[tuple[Aspect, ...], np.ndarray]:
        """The item's aspects by p_u, and every item's Eq. (20): NaN for those without aspects, and
        for all where none of this item's is liked."""
        nothing = np.full(len(self.aspects), np.nan)
        if not self.aspects.any():
            return (), nothing
        if taste is None and self.aspects[history].any():
            taste = taste_of_history(history, self.aspects)
        own = np.flatnonzero(self.aspects[item])
        usual = self.aspects.sum(0) / self.aspects.sum()  # (A,)
        p = np.zeros(len(usual)) if taste is None else taste
        own = own[np.argsort(-p[own], kind="stable")].tolist()
        aspects = tuple(Aspect(self.aspect_names[k], float(p[k]), float(usual[k])) for k in own)
        if not any(aspect.liked for aspect in aspects):
            return aspects, nothing
        log_p = torch.from_numpy(np.log(np.maximum(p, 1e-30)))[None]
        multi_hot = torch.from_numpy(self.aspects)
        score = ranking_score(log_p, multi_hot, item_given_aspects(multi_hot))[0].numpy()
        return aspects, np.where(self.aspects.any(1), score, np.nan)

    def _similar(self, item: int, history: np.ndarray) -> tuple[tuple[CitedItem, ...], np.ndarray]:
        """The cited items, and every item's mean cosine to the CITED nearest of the history, NaN
        where that is not above 0."""
        if not len(history):
            return (), np.full(len(self.vectors), np.nan)
        similarity = item_similarity(self.vectors, self.vectors[history])  # (n_items, S)
        cited = self._cite(history[most_similar(similarity[item], CITED)], item)
        nearest = np.partition(similarity, -min(CITED, len(history)), axis=1)[:, -CITED:].mean(1)
        return cited, np.where(nearest > 0, nearest, np.nan)

    def _moment(
        self, item: int, history: np.ndarray, now: float
    ) -> tuple[RecentContext, np.ndarray]:
        """The context of the item, and every item's agreement with its own,
        Σ_p weight_p · cos(item, part_p), NaN where that is not above 0."""
        at = trend(self.items, self.times, len(self.vectors), now)
        latest = history[: -LATEST - 1 : -1]  # the last first
        parts, there = context_parts(self.vectors, latest, at.rise)
        c, weights = context_attention(
            torch.from_numpy(self.vectors),
            torch.from_numpy(parts).expand(len(self.vectors), -1, -1),
            torch.from_numpy(there),
        )
        agreement = (c.numpy() * self.vectors).sum(1) / self.vectors.shape[1]
        time, on_the_rise = weights[item].tolist()
        told = RecentContext(
            time, self._cite(latest[:CITED], item), on_the_rise, int(at.recent[item])
        )
        return told, np.where(agreement > 0, agreement, np.nan)

    def _cite(self, ids: np.ndarray, item: int) -> tuple[CitedItem, ...]:
        similarity = item_similarity(self.vectors[[item]], self.vectors[ids])[0]
        return tuple(
            CitedItem(str(self.names.tokens[i]), self.names.titles[i], float(cosine))
            for i, cosine in zip(ids.tolist(), similarity)
        )
