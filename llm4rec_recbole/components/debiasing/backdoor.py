"""Back-door adjustment over item popularity (Eq. 15).

         P  popularity               P(Y | X)     mixes the path X ← P → Y in
        ↙ ↘                          P(Y | do X)  leaves only X → Y
    X exposed → Y chosen

Popularity decides which items are exposed, and it is itself a reason to choose an item. Averaging
over the distribution of popularity in all interactions, instead of its distribution given X, closes
the path. This needs overlap: a value of P that never occurs with X has no conditional to average.
An item has one popularity at a time. Overlap therefore comes from popularity that changes in time,
or from a model that shares parameters between items (StratifiedScores).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from llm4rec_recbole.errors import InputError


def popularity_strata(counts: np.ndarray, n_strata: int) -> np.ndarray:
    """The popularity stratum of each item, (n_items,) int64; 0 is the least popular.

    counts: (n_items,), training interactions. The pad (item 0) has stratum 0 and does not count.
    Strata have about equally many items. Items with equal counts share a stratum, so there may be
    fewer than `n_strata`, numbered without gaps. Raises InputError for n_strata < 1 or no items.
    """
    if n_strata < 1 or len(counts) < 2:
        raise InputError(f"{len(counts) - 1} items cannot be put into {n_strata} strata")
    real = counts[1:]
    edges = np.sort(real)[np.arange(1, n_strata) * len(real) // n_strata]
    raw = np.searchsorted(edges, real, side="right")
    return np.concatenate([[0], np.unique(raw, return_inverse=True)[1]]).astype(np.int64)


def stratum_prior(strata: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """P(P = p): each stratum's share of the interactions, (S,); 0 for a stratum without any.

    strata: (n_items,); counts: (n_items,), training interactions.
    """
    mass = np.bincount(strata[1:], weights=counts[1:])
    return mass / mass.sum()


def backdoor_adjustment(conditional: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
    """Eq. (15): P(Y | do(X)) = Σ_p P(Y | X, P = p) P(P = p).

    conditional: (..., S, Y), P(Y | X, P = p); prior: (S,), P(P = p). Returns (..., Y).
    """
    return torch.einsum("...sy,s->...y", conditional, prior)


class StratifiedScores(nn.Module):
    """Scores that depend on the items' popularity strata and can be averaged over them (Eq. 15).

        score(h, i | p) = h·e_i + s_p (h ⊙ g)·e_i + (G h + c)_p
                          taste   how popularity     popularity as a reason to choose
                                  changes taste

    In training each item has its own stratum, whose terms absorb the effect of popularity. At
    inference all items are scored under every stratum, weighted by the stratum's share. The scores
    start as plain dot products. If no item ever changes its stratum, only weight decay keeps the
    first term from learning popularity as well; strata that vary in time avoid this.
    """

    def __init__(self, dim: int, prior: torch.Tensor) -> None:
        """dim: d, of states and item embeddings; prior: (S,), P(P = p), as from stratum_prior."""
        super().__init__()
        self.prior: torch.Tensor
        self.register_buffer("prior", torch.as_tensor(prior, dtype=torch.float32))
        self.scale = nn.Parameter(torch.zeros(len(self.prior)))  # s (S,)
        self.gate = nn.Parameter(torch.ones(dim))  # g (d,)
        self.reason = nn.Linear(dim, len(self.prior))  # G, c
        nn.init.zeros_(self.reason.weight)
        nn.init.zeros_(self.reason.bias)

    def forward(
        self, states: torch.Tensor, items: torch.Tensor, strata: torch.Tensor
    ) -> torch.Tensor:
        """Scores (N, n_items) given the items' strata: (n_items,), or (N, n_items) for N times.

        states: (N, d); items: (n_items, d).
        """
        strata = strata.expand(len(states), -1)  # (N, n_items)
        taste, modulated = states @ items.T, (states * self.gate) @ items.T  # (N, n_items)
        return taste + self.scale[strata] * modulated + self.reason(states).gather(1, strata)

    def factors(
        self, states: torch.Tensor, items: torch.Tensor, strata: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The same scores, for strata (n_items,), as a product of two: (N, 2d+S), (n_items, 2d+S).

        For a loss that never holds all logits (training/losses.py).
        """
        own = functional.one_hot(strata, len(self.prior)).to(items.dtype)  # (n_items, S)
        left = torch.cat([states, states * self.gate, self.reason(states)], dim=1)
        return left, torch.cat([items, self.scale[strata, None] * items, own], dim=1)

    def intervene(self, states: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """log P(Y | do(X)) over the items, (N, n_items): a softmax for each stratum, averaged (15).

        The last term of the score is the same for all items under one stratum, so it cancels here.
        A stratum of untrained items only has P(P = p) = 0 and is left out: its log-probability is
        -inf, and logaddexp(-inf, -inf) has no gradient.
        """
        taste, modulated = states @ items.T, (states * self.gate) @ items.T  # (N, n_items)
        total = torch.full_like(taste, -torch.inf)
        for stratum in self.prior.nonzero().flatten().tolist():  # (N, S, n_items) would be large
            given = (taste + self.scale[stratum] * modulated).log_softmax(1)
            total = torch.logaddexp(total, given + self.prior[stratum].log())
        return total
