"""Paired tests, over users, of the difference between two methods.

Every function takes per-user differences (U, C), one row per user and one column per comparison.
So all comparisons of a table use the same resampled users. Seeds are averaged for each user before
the difference. The tests are the paired t test and the paired randomization (sign-flip) test. They
agree with each other on retrieval metrics and hold their level (Urbano, Lima & Hanjalic, SIGIR
2019). The Wilcoxon test is left out: it tests another hypothesis and rejects a true null too often
with thousands of users.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

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


def randomization(differences: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Return two-sided p values of the paired randomization test, (C,).

    Under the null hypothesis the sign of each user's difference is random (Fisher, 1935;
    Smucker, Allan & Carterette, CIKM 2007). The observed signs count as one of the resamples, so
    p is at least 1 / (resamples + 1). Equal sums count as extreme, so the test is slightly
    conservative for metrics with few values, such as the hit rate.
    """
    rounding = 1e-12 * np.abs(differences).sum(axis=0)  # largest difference of equal sums
    observed = np.abs(differences.sum(axis=0)) - rounding  # (C,)
    random = np.random.default_rng(seed)
    extreme = np.zeros(differences.shape[1], dtype=np.int64)
    for n in _chunks(resamples, len(differences)):
        flips = random.integers(0, 2, size=(n, len(differences)), dtype=np.int8)
        sums = (2.0 * flips - 1.0) @ differences  # (n, C)
        extreme += np.count_nonzero(np.abs(sums) >= observed, axis=0)
    return (extreme + 1) / (resamples + 1)


def bootstrap_interval(
    differences: np.ndarray, resamples: int = RESAMPLES, seed: int = 0, level: float = 0.95
) -> np.ndarray:
    """Return the percentile bootstrap interval of the mean difference, (2, C): low, high."""
    n_users = len(differences)
    random = np.random.default_rng(seed)
    means = []
    for n in _chunks(resamples, n_users):
        resampled = random.integers(0, n_users, size=(n, n_users)) + n_users * np.arange(n)[:, None]
        counts = np.bincount(resampled.ravel(), minlength=n * n_users).reshape(n, n_users)
        means.append(counts @ differences / n_users)  # (n, C)
    return np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2], axis=0)


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


def smallest_detectable(
    differences: np.ndarray, power: float = 0.8, level: float = 0.05
) -> np.ndarray:
    """Return the mean difference that a t test at `level` detects with probability `power`, (C,).

    (t_{1 - level/2} + t_power) · s / √U, with the observed standard deviation s and U - 1 degrees
    of freedom (Sakai, Information Retrieval 2016). A smaller true difference is missed more often
    than 1 - power.
    """
    from scipy import stats

    quantiles = stats.t.ppf([1 - level / 2, power], len(differences) - 1)
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
