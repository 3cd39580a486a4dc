"""Collects the evidence for an item: its categories, similar items of the history, the context.

    (21)  cos(e_i, e_j) of item embeddings        (22)  the K most similar items of the history

The collector works by internal id and needs no particular model: it uses item vectors, and the
user's taste of a model that has one.
"""

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
    PARTS,
    ContextPart,
    Frequency,
    Locations,
    Nearby,
    context_attention,
    context_vectors,
    scale_to_sqrt_d,
    trend,
)
from llm4rec_recbole.components.explanation.evidence import (
    Aspect,
    CitedItem,
    Context,
    Counted,
    Evidence,
    Place,
    type_weights,
)
from llm4rec_recbole.components.retrieval.retriever import cosine_similarity, top_k

CITED = 3  # items of the history, K of Eq. (22)
LATEST = 5  # items that form h_time; at most CITED of them are named
NEAREST = 0.05  # of the catalogue: only items as near as that are called similar


def item_similarity(items: np.ndarray, history: np.ndarray) -> np.ndarray:
    """Eq. (21): cos(e_i, e_j) of items' embeddings (I, d) and a history's (S, d), (I, S); 0 where
    either is zero."""
    return cosine_similarity(items, history)


def most_similar(similarity: np.ndarray, k: int) -> np.ndarray:
    """Eq. (22): positions of the k most similar items of the history, most similar first; fewer
    where the similarity is 0 or less. similarity: (S,), oldest first. Among equals the later item
    comes first."""
    latest_first = similarity[::-1]
    positions = len(similarity) - 1 - top_k(latest_first, k)
    return positions[similarity[positions] > 0]


def interaction_vectors(
    users: np.ndarray, items: np.ndarray, n_items: int, d: int = 64
) -> np.ndarray:
    """Item embeddings (n_items, d) for a model that has none, from the training interactions (N,).

    PureSVD (Cremonesi et al., RecSys 2010): the right singular vectors of the interaction matrix
    times its singular values. With at most d users or items, the columns themselves.
    """
    pairs = sp.csr_matrix(
        (np.ones(len(items)), (users, items)), (int(users.max(initial=0)) + 1, n_items)
    )
    pairs.data[:] = 1.0  # a repeated interaction counts once
    if min(pairs.shape) <= d:
        return pairs.T.toarray().astype(np.float32)
    start = np.random.default_rng(0).normal(size=min(pairs.shape))
    _, singular_values, directions = sp.linalg.svds(pairs, k=d, v0=start)
    return (directions.T * singular_values).astype(np.float32)


@dataclass(frozen=True, eq=False)
class ItemNames:
    """Names of items by internal id; the pad's entries are empty."""

    tokens: Sequence[str]  # (n_items,) raw
    titles: Sequence[str]  # (n_items,), "" where there is none
    aspects: np.ndarray  # (n_items, A) bool
    aspect_names: Sequence[str]  # (A,)


class EvidenceCollector:
    """Collects evidence for any user and item of a data set.

    vectors: (n_items, d), item embeddings; users, items, times: (N,), the training interactions and
    their times in seconds; locations: of items or users, None where the data set has none.
    """

    def __init__(
        self,
        names: ItemNames,
        vectors: np.ndarray,
        users: np.ndarray,
        items: np.ndarray,
        times: np.ndarray,
        locations: Locations | None = None,
    ) -> None:
        self.names, self.locations = names, locations
        self.users, self.items, self.times = users, items, times
        self.vectors = scale_to_sqrt_d(vectors)  # (n_items, d)
        self.aspects, self.aspect_names = names.aspects.astype(np.float64), names.aspect_names

    def evidence(
        self,
        user: str,
        item: int,
        history: np.ndarray,
        now: float,
        taste: np.ndarray | None = None,
        user_number: int = 0,
    ) -> Evidence:
        """The evidence for `item`.

        user: raw id; history: (S,) ids, oldest first, that the model reads; now: the query time in
        seconds, later interactions are not used; taste: the model's p_u (A,), or None for the taste
        of the history; user_number: internal id, for the location.
        """
        others = np.setdiff1d(np.arange(1, len(self.vectors)), [item, *history])  # candidates
        history = history[history != item]
        aspects, preference = self._aspects(item, history, taste)
        similar, similarity = self._similar(item, history)
        context, agreement = self._context(item, history, now, user_number)
        weights = type_weights(item, others, preference, similarity, agreement)
        token, title = str(self.names.tokens[item]), self.names.titles[item]
        return Evidence(user, token, title, aspects, similar, context, weights)

    def _aspects(
        self, item: int, history: np.ndarray, taste: np.ndarray | None
    ) -> tuple[tuple[Aspect, ...], np.ndarray]:
        """Return the item's aspects by p_u, and Eq. (20) of every item, (n_items,): NaN for items
        without aspects, and for all where the user likes none of this item's."""
        no_score = np.full(len(self.aspects), np.nan)
        if not self.aspects.any():
            return (), no_score
        if taste is None and self.aspects[history].any():
            taste = taste_of_history(history, self.aspects)
        item_aspects = np.flatnonzero(self.aspects[item])
        usual = self.aspects.sum(0) / self.aspects.sum()  # (A,)
        p = np.zeros(len(usual)) if taste is None else taste
        item_aspects = item_aspects[np.argsort(-p[item_aspects], kind="stable")].tolist()
        aspects = tuple(
            Aspect(self.aspect_names[k], float(p[k]), float(usual[k])) for k in item_aspects
        )
        if not any(aspect.liked for aspect in aspects):
            return aspects, no_score
        log_p = torch.from_numpy(np.log(np.maximum(p, 1e-30)))[None]
        multi_hot = torch.from_numpy(self.aspects)
        score = ranking_score(log_p, multi_hot, item_given_aspects(multi_hot))[0].numpy()
        return aspects, np.where(self.aspects.any(1), score, np.nan)

    def _similar(self, item: int, history: np.ndarray) -> tuple[tuple[CitedItem, ...], np.ndarray]:
        """Return the cited items, and every item's mean cosine to the CITED nearest items of the
        history, (n_items,): NaN where it is not above 0, and for all where nothing is cited."""
        nothing = np.full(len(self.vectors), np.nan)
        if not len(history):
            return (), nothing
        similarity = item_similarity(self.vectors, self.vectors[history])  # (n_items, S)
        cited = self._near(item, history[most_similar(similarity[item], CITED)])
        if not cited:
            return (), nothing
        nearest = np.partition(similarity, -min(CITED, len(history)), axis=1)[:, -CITED:].mean(1)
        return cited, np.where(nearest > 0, nearest, np.nan)

    def _context(
        self, item: int, history: np.ndarray, now: float, user: int
    ) -> tuple[Context, np.ndarray]:
        """Return the item's context, and the agreement of every item with its own context,
        Σ_p weight_p · cos(item, part_p), (n_items,): NaN where it is not above 0, and for all where
        no part is evidence for this item."""
        n_items = len(self.vectors)
        latest, rising, nearby, sums, present = self._context_parts(history, now, user)
        c, weights = context_attention(
            torch.from_numpy(self.vectors),
            torch.from_numpy(sums).expand(n_items, -1, -1),
            torch.from_numpy(present),
        )
        agreement = (c.numpy() * self.vectors).sum(1) / self.vectors.shape[1]
        own = dict(zip(PARTS, weights[item].tolist()))
        near = self._near(item, latest)[:CITED]
        if not near:
            own["time"] = 0.0
        recent = _counted(rising, item)
        place = None
        if nearby is not None and nearby.part.present[item]:
            chosen = _counted(nearby.frequency, item)
            place = Place(nearby.place, chosen, nearby.of, nearby.is_city)
        supported = any(own.values()) and agreement[item] > 0
        strengths = np.where(supported & (agreement > 0), agreement, np.nan)
        return Context(own, near, recent, place), strengths

    def _context_parts(
        self, history: np.ndarray, now: float, user: int
    ) -> tuple[np.ndarray, Frequency, Nearby | None, np.ndarray, np.ndarray]:
        """Return the latest items, what rises, what is chosen nearby, and of PARTS: the vectors
        (P, d), and for which items each is present (n_items, P)."""
        n_items = len(self.vectors)
        latest = history[: -LATEST - 1 : -1]  # the last first
        rising = trend(self.items, self.times, n_items, now)
        nearby: Nearby | None = None
        if self.locations is not None:
            earlier = self.times < now
            users, items = self.users[earlier], self.items[earlier]
            nearby = self.locations.nearby(user, history, users, items)
        parts = {
            "time": ContextPart(
                np.bincount(latest, minlength=n_items), np.ones(n_items, dtype=bool)
            ),
            "location": nearby.part
            if nearby
            else ContextPart(np.zeros(n_items), np.zeros(n_items, bool)),
            "trend": ContextPart(rising.excess, rising.exceeds),
        }
        sums, present = context_vectors(self.vectors, [parts[name] for name in PARTS])
        return latest, rising, nearby, sums, present

    def context_vector(self, item: int, history: np.ndarray, now: float, user: int) -> np.ndarray:
        """Return c_t of Eq. (23) for `item`, (d,); zeros where no part is present."""
        *_, sums, present = self._context_parts(history[history != item], now, user)
        c, _ = context_attention(
            torch.from_numpy(self.vectors[[item]]),
            torch.from_numpy(sums)[None],
            torch.from_numpy(present[[item]]),
        )
        return c[0].numpy()

    def _near(self, item: int, ids: np.ndarray) -> tuple[CitedItem, ...]:
        """The items among `ids` that are similar to `item`, in the same order."""
        cosines = item_similarity(self.vectors[[item]], self.vectors)[0]  # (n_items,)
        cosines[[0, item]] = -np.inf
        others = len(cosines) - 2
        cited = []
        for number in ids.tolist():
            more_similar = int((cosines > cosines[number]).sum())
            near = more_similar < max(CITED, NEAREST * others)
            if near and cosines[number] > 0:
                token, title = str(self.names.tokens[number]), self.names.titles[number]
                share = more_similar / max(others, 1)
                cited.append(CitedItem(token, title, float(cosines[number]), share))
        return tuple(cited)


def _counted(frequency: Frequency, item: int) -> Counted:
    return Counted(
        int(frequency.count[item]), float(frequency.expected[item]), bool(frequency.exceeds[item])
    )
