"""Back-door adjustment over item popularity (Eq. 15).

         P  popularity               P(Y | X)     mixes the path X ← P → Y in
        ↙ ↘                          P(Y | do X)  leaves only X → Y
    X exposed → Y chosen

Popularity decides which items are exposed, and it is itself a reason to choose an item. Averaging
over the distribution of popularity in all interactions, instead of its distribution given X, closes
the path. This needs overlap: a value of P that never occurs with X has no conditional to average.
An item has one popularity at a time. Overlap therefore comes from popularity that changes in time
(strata_at_the_time), or from a model that shares parameters between items (StratifiedScores).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from llm4rec_recbole.errors import InputError


def popularity_strata(counts: np.ndarray, n_strata: int) -> np.ndarray:
    """The popularity stratum of each item, (n_items,) int64 without gaps; 0 is the least popular.

    counts: (n_items,), training interactions. The pad has stratum 0 and does not count. Strata have
    about equally many items; items with equal counts share one. Raises InputError for n_strata < 1
    or no items.
    """
    if n_strata < 1 or len(counts) < 2:
        raise InputError(f"{len(counts) - 1} items cannot be put into {n_strata} strata")
    real = counts[1:]
    edges = np.sort(real)[np.arange(1, n_strata) * len(real) // n_strata]
    raw = np.searchsorted(edges, real, side="right")
    return np.concatenate([[0], np.unique(raw, return_inverse=True)[1]]).astype(np.int64)


def stratum_prior(strata: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """P(P = p): each stratum's share of the interactions, (S,). strata, counts: (n_items,)."""
    mass = np.bincount(strata[1:], weights=counts[1:])
    return mass / mass.sum()


def backdoor_adjustment(conditional: Tensor, prior: Tensor) -> Tensor:
    """Eq. (15): P(Y | do(X)) = Σ_p P(Y | X, P = p) P(P = p).

    conditional: (..., S, Y), P(Y | X, P = p); prior: (S,), P(P = p). Returns (..., Y).
    """
    return torch.einsum("...sy,s->...y", conditional, prior)


def popularity_periods(times: np.ndarray, dated: bool, n_periods: int) -> np.ndarray:
    """The period of each interaction, (N,) int64 from 0; periods have about equally many. times:
    (N,); without dates (`dated` is False) there is one period."""
    if not dated or n_periods < 2 or not len(times):
        return np.zeros(len(times), dtype=np.int64)
    edges = np.sort(times)[np.arange(1, n_periods) * len(times) // n_periods]
    return np.searchsorted(edges, times, side="right")


def strata_at_the_time(
    items: np.ndarray, periods: np.ndarray, n_items: int, n_strata: int
) -> np.ndarray:
    """Each item's popularity stratum in each period, (T, n_items) int64, by its interactions in the
    period (Zhang et al., SIGIR 2021). items, periods: (N,), of the training interactions."""
    return np.stack(
        [
            popularity_strata(np.bincount(items[periods == t], minlength=n_items), n_strata)
            for t in range(int(periods.max(initial=0)) + 1)
        ]
    )


class StratifiedScores(nn.Module):
    """Scores that depend on the items' popularity strata and can be averaged over them (Eq. 15).

        score(h, i | p) = h·e_i + s_p (A h)·(A e_i) + (G h + c)_p
                          taste   how popularity      popularity as a reason to choose
                                  changes taste

    In training each item has its own stratum at the time, whose terms absorb the effect of
    popularity. At inference all items are scored under every stratum, weighted by the stratum's
    share. The scores start as plain dot products. If no item ever changes its stratum, only weight
    decay keeps the first term from learning popularity as well; strata that vary in time avoid it.
    """

    def __init__(self, dim: int, prior: Tensor, rank: int = 8) -> None:
        """dim: d, of states and item embeddings; prior: (S,), P(P = p), as from stratum_prior;
        rank: rows of A."""
        super().__init__()
        self.prior: Tensor
        self.register_buffer("prior", torch.as_tensor(prior, dtype=torch.float32))
        self.scale = nn.Parameter(torch.zeros(len(self.prior)))  # s (S,)
        self.projection = nn.Parameter(torch.randn(min(rank, dim), dim) / dim**0.5)  # A (r, d)
        self.reason = nn.Linear(dim, len(self.prior))  # G, c
        nn.init.zeros_(self.reason.weight)
        nn.init.zeros_(self.reason.bias)

    def _products(self, states: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """h·e and (A h)·(A e), (N, n_items) each."""
        modulated = (states @ self.projection.T) @ (items @ self.projection.T).T
        return states @ items.T, modulated

    def forward(self, states: Tensor, items: Tensor, strata: Tensor) -> Tensor:
        """Scores (N, n_items) given the items' strata: (n_items,), or (N, n_items) for N times.
        states: (N, d); items: (n_items, d)."""
        strata = strata.expand(len(states), -1)  # (N, n_items)
        taste, modulated = self._products(states, items)  # (N, n_items)
        return taste + self.scale[strata] * modulated + self.reason(states).gather(1, strata)

    def factors(
        self, states: Tensor, items: Tensor, strata: Tensor, periods: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The same scores as a product of two, for a loss that never holds all logits: (N, D),
        (n_items, D), D = d + T (r + S).

        strata: (T, n_items), by period; periods: (N,), the period of each state. A state has zeros
        in the columns of the other periods.
        """
        n_periods, n_strata = len(strata), len(self.prior)
        in_period = functional.one_hot(periods, n_periods).to(states.dtype)  # (N, T)
        columns = torch.cat([states @ self.projection.T, self.reason(states)], 1)  # (N, r + S)
        state_columns = (in_period[:, :, None] * columns[:, None]).flatten(1)  # (N, T (r + S))
        projected = items @ self.projection.T  # (n_items, r)
        item_columns = [items]
        for stratum in strata:  # (n_items,)
            hot = functional.one_hot(stratum, n_strata).to(items.dtype)  # (n_items, S)
            item_columns += [self.scale[stratum, None] * projected, hot]
        return torch.cat([states, state_columns], 1), torch.cat(item_columns, 1)

    def intervene(self, states: Tensor, items: Tensor) -> Tensor:
        """log P(Y | do(X)) over the items, (N, n_items): a softmax for each stratum, averaged (15).

        The score's last term is the same for all items under one stratum, so it cancels. A stratum
        with P(P = p) = 0 is left out: logaddexp(-inf, -inf) has no gradient.
        """
        taste, modulated = self._products(states, items)  # (N, n_items)
        total = torch.full_like(taste, -torch.inf)
        for stratum in self.prior.nonzero().flatten().tolist():  # (N, S, n_items) would be large
            log_p = (taste + self.scale[stratum] * modulated).log_softmax(1)
            total = torch.logaddexp(total, log_p + self.prior[stratum].log())
        return total
