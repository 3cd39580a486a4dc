"""Tests, over users, of the difference between two methods, and what they allow to conclude.

Every test takes per-user differences (U, C), one row per user and one column per comparison.
So all comparisons of a table use the same resampled users. Seeds are averaged for each user before
the difference. The tests are the paired t test and the paired randomization (sign-flip) test. They
agree with each other on retrieval metrics and hold their level (Urbano, Lima & Hanjalic, SIGIR
2019). The Wilcoxon test is left out: it tests another hypothesis and rejects a true null too often
with thousands of users.

Two one-sided tests (TOST; Schuirmann 1987; Lakens 2017) show that a difference is smaller than a
margin. Both tests reject at the level α exactly where the 1 - 2α interval lies within the margin.
The smallest margin is therefore the larger end of that interval:

    margin = max(|d - t s|, |d + t s|),  t = t quantile at 1 - α with the error's degrees of freedom

The first of these rules that applies gives the conclusion:

    better, worse   the 95 % interval does not contain 0 (with Holm's p: p < .05)
    equivalent      the smallest margin is at most `MARGIN` of the baseline's mean
    undecided       otherwise; `users_to_decide` says how many users would decide it
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

LEVEL = 0.05  # below which p, or Holm's p, counts as a difference
POWER = 0.8
MARGIN = 0.05  # of the baseline's mean: smaller differences are practically none
RESAMPLES = 9_999
NORMAL_95 = 1.959964  # half the width of a 95 % interval, in standard errors
MAX_ELEMENTS = 1 << 22  # resampled users in memory at once


def paired_t(differences: np.ndarray) -> np.ndarray:
    """Return two-sided p values of the paired t test, (C,); 1 if no user differs."""
    from scipy import stats

    error = _spread(differences) / np.sqrt(len(differences))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = differences.mean(axis=0) / error
    return np.where(np.isnan(t), 1.0, 2 * stats.t.sf(np.abs(t), len(differences) - 1))


def randomization(differences: np.ndarray, resamples: int = RESAMPLES) -> np.ndarray:
    """Return two-sided p values of the paired randomization test, (C,).

    Under the null hypothesis the sign of each user's difference is random (Fisher, 1935;
    Smucker, Allan & Carterette, CIKM 2007). The observed signs count as one of the resamples, so
    p is at least 1 / (resamples + 1). Equal sums count as extreme, so the test is slightly
    conservative for metrics with few values, such as the hit rate.
    """
    rounding = 1e-12 * np.abs(differences).sum(axis=0)  # largest difference of equal sums
    observed = np.abs(differences.sum(axis=0)) - rounding  # (C,)
    random = np.random.default_rng(0)
    extreme = np.zeros(differences.shape[1], dtype=np.int64)
    for n in _chunks(resamples, len(differences)):
        flips = random.integers(0, 2, size=(n, len(differences)), dtype=np.int8)
        sums = (2.0 * flips - 1.0) @ differences  # (n, C)
        extreme += np.count_nonzero(np.abs(sums) >= observed, axis=0)
    return (extreme + 1) / (resamples + 1)


def bootstrap_interval(differences: np.ndarray, resamples: int = RESAMPLES) -> np.ndarray:
    """Return the 95 % percentile bootstrap interval of the mean difference, (2, C): low, high."""
    n_users = len(differences)
    random = np.random.default_rng(0)
    means = []
    for n in _chunks(resamples, n_users):
        resampled = random.integers(0, n_users, size=(n, n_users)) + n_users * np.arange(n)[:, None]
        counts = np.bincount(resampled.ravel(), minlength=n * n_users).reshape(n, n_users)
        means.append(counts @ differences / n_users)  # (n, C)
    return np.quantile(np.concatenate(means), [(1 - 0.95) / 2, (1 + 0.95) / 2], axis=0)


def users_and_seeds(differences: np.ndarray, runs: Sequence[np.ndarray]) -> tuple[float, float]:
    """Standard error and degrees of freedom of a mean difference when users and seeds are random.

        Var = s²(d_u) / U + Σ_m max(0, s²(mean of a seed of m) / S_m - MS_m / (U S_m))

    differences: (U,), of values averaged over seeds; runs: for each random method m with S_m ≥ 2
    seeds, its values (S_m, U). MS_m is the mean square of the interaction of users and seeds, which
    the first term contains already. The degrees of freedom follow Satterthwaite (1946), but are at
    least the smallest S_m - 1: his formula can fall below its parts' where one is subtracted.
    Without runs this is the paired t test's error.
    """
    users = len(differences)
    variance = float(_spread(differences[:, None])[0]) ** 2 / users
    squares = variance**2 / (users - 1)
    for run in runs:
        seeds = len(run)
        means = run.mean(axis=1, keepdims=True)  # (S, 1)
        between = float(means.var(ddof=1)) / seeds
        interaction = run - run.mean(axis=0) - means + run.mean()
        df = (users - 1) * (seeds - 1)
        within = float((interaction**2).sum()) / df / (users * seeds)
        if between > within:
            variance += between - within
            squares += between**2 / (seeds - 1) + within**2 / df
    if not squares:
        return variance**0.5, float(users - 1)
    least = min([users, *(len(run) for run in runs)]) - 1
    return variance**0.5, max(variance**2 / squares, float(least))


def effect_size(differences: np.ndarray) -> np.ndarray:
    """Return Cohen's d for paired samples, mean / standard deviation of differences, (C,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        d = differences.mean(axis=0) / _spread(differences)
    return np.where(np.isnan(d), 0.0, d)


def smallest_detectable(differences: np.ndarray) -> np.ndarray:
    """Return the mean difference that a t test at LEVEL detects with probability POWER, (C,).

    (t_{1 - LEVEL/2} + t_POWER) · s / √U, with the observed standard deviation s and U - 1 degrees
    of freedom (Sakai, Information Retrieval 2016). A smaller true difference is missed more often
    than 1 - POWER.
    """
    from scipy import stats

    quantiles = stats.t.ppf([1 - LEVEL / 2, POWER], len(differences) - 1)
    return quantiles.sum() * _spread(differences) / np.sqrt(len(differences))


def holm(p: np.ndarray) -> np.ndarray:
    """Return Holm's step-down adjustment of the p values (C,) of one table (Holm, 1979)."""
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def _spread(differences: np.ndarray) -> np.ndarray:
    """Return the standard deviation over users, (C,); exactly 0 if all differences are equal."""
    same = (differences == differences[:1]).all(axis=0)
    return np.where(same, 0.0, differences.std(axis=0, ddof=1))


def _chunks(resamples: int, n_users: int) -> Iterator[int]:
    step = max(1, MAX_ELEMENTS // n_users)
    for start in range(0, resamples, step):
        yield min(step, resamples - start)


# From a difference and its error to a conclusion.


Outcome = Literal["better", "equivalent", "worse", "undecided"]


@dataclass(frozen=True)
class Conclusion:
    """What one comparison shows."""

    outcome: Outcome
    smallest_margin: float  # in the unit of the difference
    users: int | None = None  # that would decide an undecided comparison
    seeds: int | None = None  # of each random method that would; None where seeds are unknown

    def describe(self, mean: float) -> str:
        """In words; margins in per cent of `mean`, the baseline's, unless it is 0."""
        margin = (
            f"{100 * self.smallest_margin / mean:.3g} %" if mean else f"{self.smallest_margin:.3g}"
        )
        if self.outcome == "equivalent":
            return f"equivalent within {margin}"
        if self.outcome != "undecided":
            return self.outcome
        needs = f"; {self.users:,} users would decide it" if self.users else ""
        if self.users and self.seeds:
            needs = f"; {self.users:,} users and {self.seeds} seeds would decide it"
        return f"undecided, equivalent within {margin}{needs}"


def smallest_margin(difference: float, error: float, df: float) -> float:
    """The smallest margin within which TOST shows equivalence at LEVEL.

    difference: the observed one; error: its standard error; df: degrees of freedom of the error.
    """
    from scipy import stats

    half = float(stats.t.ppf(1 - LEVEL, df)) * error if error else 0.0
    return max(abs(difference - half), abs(difference + half))


def conclude(
    difference: float,
    error: float,
    df: float,
    mean: float,
    users: int,
    p: float | None = None,
    seed_variance: float | None = None,
) -> Conclusion:
    """The conclusion from one comparison.

    mean: the baseline's; users: how many were compared; p: of the difference, adjusted where it
    is one of several (the t test's by default); seed_variance: of the difference between two
    single runs over seeds, None where it is unknown.
    """
    from scipy import stats

    if p is None:
        t = abs(difference) / error if error else math.inf if difference else 0.0
        p = float(2 * stats.t.sf(t, df))
    least = smallest_margin(difference, error, df)
    if p < LEVEL and difference:
        return Conclusion("better" if difference > 0 else "worse", least)
    if least <= MARGIN * mean:
        return Conclusion("equivalent", least)
    if not mean:
        return Conclusion("undecided", least)
    needed, seeds = users_to_decide(error**2 * users, MARGIN * mean, seed_variance)
    return Conclusion("undecided", least, max(needed, users + 1), seeds)


def users_to_decide(
    variance: float, margin: float, seed_variance: float | None = None
) -> tuple[int, int | None]:
    """Users and seeds that decide a comparison, whichever way it comes out.

    With them, the test finds a true difference of `margin` with probability POWER. It shows with
    the same probability that two equal methods are equivalent within `margin`. variance: of one
    user's difference. Seeds are chosen so that their part of the variance is at most half.
    """
    from scipy import stats

    finds = stats.norm.ppf(1 - LEVEL / 2) + stats.norm.ppf(POWER)
    equals = stats.norm.ppf(1 - LEVEL) + stats.norm.ppf((1 + POWER) / 2)
    allowed = (margin / max(finds, equals)) ** 2  # of the mean's variance
    if not seed_variance:
        return math.ceil(variance / allowed), None if seed_variance is None else 1
    seeds = max(2, math.ceil(2 * seed_variance / allowed))
    return math.ceil(variance / (allowed - seed_variance / seeds)), seeds
