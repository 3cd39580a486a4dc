"""Calibration: is the share p observed among the pairs with predicted probability p?

A model that predicts the base rate for every pair is perfectly calibrated and useless. The skill
therefore complements the calibration error: how far the log loss is below that of such a model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ReliabilityBin:
    """The pairs whose probability lies in one range: predicted and observed rate."""

    lower: float  # smallest probability in the bin
    upper: float  # largest
    share: float  # of all weight
    predicted: float  # weighted mean probability
    observed: float  # weighted share of outcomes that are 1


@dataclass(frozen=True)
class Calibration:
    """The quality of a probability model on pairs that it was not fitted to."""

    error: float  # expected calibration error, 0 is best
    skill: float  # 1 − log loss / log loss of the base rate; 0 is the base rate, 1 is best
    predicted_rate: float
    observed_rate: float
    bins: tuple[ReliabilityBin, ...]


def reliability_table(
    probabilities: np.ndarray, outcomes: np.ndarray, weights: np.ndarray, n_bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """Bins of about equal weight, by ascending probability; equal probabilities share a bin.

    probabilities, outcomes (0 or 1), weights: (N,). There may be fewer than `n_bins` bins.
    """
    order = np.argsort(probabilities, kind="stable")
    below = np.cumsum(weights[order]) / weights.sum()  # (N,)
    first = np.searchsorted(below, np.arange(1, n_bins) / n_bins)
    edges = probabilities[order][np.minimum(first, len(order) - 1)]  # (n_bins - 1,)
    bin_of = np.searchsorted(edges, probabilities, side="right")  # (N,)
    table = []
    for number in np.unique(bin_of):
        inside = bin_of == number
        p, o, w = probabilities[inside], outcomes[inside], weights[inside]
        table.append(
            ReliabilityBin(
                lower=float(p.min()),
                upper=float(p.max()),
                share=float(w.sum() / weights.sum()),
                predicted=float(np.average(p, weights=w)),
                observed=float(np.average(o, weights=w)),
            )
        )
    return tuple(table)


def expected_calibration_error(table: tuple[ReliabilityBin, ...]) -> float:
    """Σ over bins of share · |observed − predicted| (Naeini, Cooper & Hauskrecht, 2015)."""
    return sum(row.share * abs(row.observed - row.predicted) for row in table)


def calibration(
    probabilities: np.ndarray,
    outcomes: np.ndarray,
    weights: np.ndarray | None = None,
    n_bins: int = 10,
) -> Calibration:
    """Compare probabilities (N,) with outcomes (N,), 0 or 1, each of `weights` (N,), default 1."""
    weights = np.ones(len(outcomes)) if weights is None else weights
    table = reliability_table(probabilities, outcomes, weights, n_bins)
    rate = np.average(outcomes, weights=weights)
    constant = _log_loss(np.full(len(outcomes), rate), outcomes, weights)
    return Calibration(
        error=expected_calibration_error(table),
        skill=1 - _log_loss(probabilities, outcomes, weights) / constant if constant else 0.0,
        predicted_rate=float(np.average(probabilities, weights=weights)),
        observed_rate=float(rate),
        bins=table,
    )


def _log_loss(probabilities: np.ndarray, outcomes: np.ndarray, weights: np.ndarray) -> float:
    likelihood = np.where(outcomes == 1, probabilities, 1 - probabilities)
    return float(-np.average(np.log(np.maximum(likelihood, 1e-300)), weights=weights))
