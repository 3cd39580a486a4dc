"""One answer over several data sets: random-effects meta-analysis, Bayesian signed-rank test.

    y_k   log(mean of the method / mean of the baseline) on data set k
    v_k   its variance over users (delta method)
    y_k ~ N(θ_k, v_k),  θ_k ~ N(μ, τ²)       μ: the mean effect, τ: its spread between data sets

τ² is estimated by restricted maximum likelihood (REML), the interval of μ by Knapp and Hartung
(2003). The prediction interval covers the effect on a new data set (Higgins, Thompson &
Spiegelhalter 2009).

The signed-rank test (Benavoli et al., ICML 2014; JMLR 2017) gives the probabilities that the
method is practically worse, equivalent or better on a new data set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llm4rec_recbole.analysis.compare import best_null, best_on_validation
from llm4rec_recbole.analysis.paper.paper_tables import OURS, PAPER_BASELINES
from llm4rec_recbole.analysis.significance import users_and_seeds
from llm4rec_recbole.evaluation.record_reader import Runs
from llm4rec_recbole.evaluation.users_file import Values, per_seed_values

ROPE = 0.05  # region of practical equivalence: log-ratios within ± 5 %
SAMPLES = 50_000
PRIOR = 0.5  # weight of the signed-rank test's pseudo-observation
_CHUNK = 2_000  # posterior samples in memory at once


@dataclass(frozen=True)
class Pooled:
    """The pooled effect of K studies; with two studies the prediction interval is infinite."""

    effect: float  # μ
    error: float  # standard error of μ
    low: float  # 95 % interval of μ
    high: float
    p: float  # of μ = 0
    predicted_low: float  # 95 % interval of the effect in a new study
    predicted_high: float
    tau2: float  # variance of the effects between studies
    i2: float  # share of the variance that is between studies, 0..1
    q: float  # Cochran's Q
    studies: int


def log_ratio(method: np.ndarray, baseline: np.ndarray) -> tuple[float, float]:
    """The log of the ratio of two means over the same users, and its variance.

    method, baseline: (U,), or (S, U) for S seeds. Delta method: Var(log a/b) is the variance of the
    mean of a_u / a - b_u / b, users and seeds random. Raises ValueError where a mean is not above
    0.
    """
    method, baseline = np.atleast_2d(method), np.atleast_2d(baseline)
    a, b = float(method.mean()), float(baseline.mean())
    if a <= 0 or b <= 0:
        raise ValueError("the log of a ratio needs means above 0")
    relative = method.mean(axis=0) / a - baseline.mean(axis=0) / b
    runs = [values / mean for values, mean in ((method, a), (baseline, b)) if len(values) > 1]
    return float(np.log(a / b)), users_and_seeds(relative, runs)[0] ** 2


def random_effects(effects: np.ndarray, variances: np.ndarray) -> Pooled:
    """The pooled effect of two or more studies; effects and variances (K,), variances above 0."""
    from scipy import stats

    y, v = np.asarray(effects, dtype=float), np.asarray(variances, dtype=float)
    k = len(y)
    if k < 2 or v.shape != y.shape or not (v > 0).all():
        raise ValueError("pooling needs two or more effects, with variances above 0")
    fixed = 1 / v
    q = float(fixed @ (y - fixed @ y / fixed.sum()) ** 2)
    tau2 = _reml(y, v)
    weights = 1 / (v + tau2)
    mean = float(weights @ y / weights.sum())
    typical = (k - 1) * fixed.sum() / (fixed.sum() ** 2 - (fixed**2).sum())
    error = float(weights.sum() ** -0.5) * float(np.sqrt(weights @ (y - mean) ** 2 / (k - 1)))
    half = float(stats.t.ppf((1 + 0.95) / 2, k - 1)) * error
    t = np.inf if k < 3 else float(stats.t.ppf((1 + 0.95) / 2, k - 2))
    spread = t * float(np.sqrt(tau2 + error**2))
    return Pooled(
        effect=mean, error=error, low=mean - half, high=mean + half,
        p=float(2 * stats.t.sf(abs(mean) / error, k - 1)) if error else float(mean == 0),
        predicted_low=mean - spread, predicted_high=mean + spread,
        tau2=tau2, i2=float(tau2 / (tau2 + typical)), q=q,
        studies=k,
    )  # fmt: skip


def _reml(y: np.ndarray, v: np.ndarray) -> float:
    """The τ² ≥ 0 with the highest restricted likelihood."""
    from scipy.optimize import minimize_scalar

    def loss(tau2: float) -> float:
        w = 1 / (v + tau2)
        residual = y - w @ y / w.sum()
        return float(np.log(v + tau2).sum() + np.log(w.sum()) + w @ residual**2) / 2

    largest = 4 * float(y.var(ddof=1)) + 1e-12
    best = minimize_scalar(loss, bounds=(0.0, largest), method="bounded",
                           options={"xatol": 1e-10 * largest, "maxiter": 1_000})  # fmt: skip
    return 0.0 if loss(0.0) <= best.fun else float(best.x)


def signed_rank_probabilities(
    differences: np.ndarray, rope: float = ROPE, samples: int = SAMPLES
) -> tuple[float, float, float]:
    """Probabilities that the method is practically worse, equivalent, better on a new data set.

    differences: (K,), one for each data set, such as log-ratios. The prior is a pseudo-observation
    of 0 with the weight PRIOR. Weights are drawn from a Dirichlet distribution. Each draw adds
    its weight products of all pairs, whose mean lies below, within or above ± rope; the region
    with the largest sum wins the draw.
    """
    z = np.concatenate([[0.0], np.asarray(differences, dtype=float)])  # (K + 1,)
    pairs = (z[:, None] + z[None, :]) / 2
    above = (pairs > rope) + 0.5 * (pairs == rope)
    below = (pairs < -rope) + 0.5 * (pairs == -rope)
    alpha = np.ones(len(z))
    alpha[0] = PRIOR
    random = np.random.default_rng(0)
    wins = np.zeros(3)
    for start in range(0, samples, _CHUNK):
        weights = random.dirichlet(alpha, min(_CHUNK, samples - start))  # (S, K + 1)
        worse = np.einsum("sk,sk->s", weights @ below, weights)
        better = np.einsum("sk,sk->s", weights @ above, weights)
        regions = np.stack([worse, 1 - worse - better, better], axis=1)  # (S, 3)
        wins += np.bincount(regions.argmax(axis=1), minlength=3)
    worse_p, equal_p, better_p = (wins / samples).tolist()
    return worse_p, equal_p, better_p


# The gains of EnhancedGenRec over other methods. On each data set a gain is the log of the ratio of
# two means over the same users, full ranking; random effects pool the data sets with both methods.

#: Rows that compare with another method on each data set.
BEST_BASELINE, BEST_NULL = "the best of the paper's five", "the best reference or null"


@dataclass(frozen=True)
class Gains:
    """The gain over one method in one metric."""

    over: str
    metric: str
    log_ratios: dict[str, tuple[float, float]]  # data set -> log-ratio, its variance
    compared_with: dict[str, str]  # data set -> the method
    pooled: Pooled | None  # None with fewer than two data sets


def gains(datasets: Mapping[str, Runs], metrics: Sequence[str]) -> list[Gains]:
    """The gains over each method that ran, over the best baseline and over the best null.

    The best baseline and the best null have the highest validation NDCG@10. A data set without
    users files is left out.
    """
    values = {name: _values(runs) for name, runs in datasets.items()}
    others = dict.fromkeys(m for runs in datasets.values() for m in runs if m != OURS)
    rivals: dict[str, dict[str, str]] = {
        method: {name: method for name, values_of in values.items() if method in values_of}
        for method in others
    }
    best = {name: best_on_validation(runs, PAPER_BASELINES)
            for name, runs in datasets.items()}  # fmt: skip
    nulls = {name: best_null(runs, OURS) for name, runs in datasets.items()}
    rivals[BEST_BASELINE] = {name: method for name, method in best.items() if method}
    rivals[BEST_NULL] = {name: method for name, method in nulls.items() if method}
    return [
        _gains(over, metric, compared_with, values)
        for over, compared_with in rivals.items()
        for metric in metrics
    ]


def _values(runs: Runs) -> dict[str, Values]:
    """The values (S, U) of the methods whose users files are all there; {} without ours."""
    with_users = {
        method: records
        for method, records in runs.items()
        if all(record.users_path.is_file() for record in records)
    }
    return per_seed_values(with_users) if OURS in with_users else {}


def _gains(
    over: str,
    metric: str,
    compared_with: Mapping[str, str],
    values: Mapping[str, Mapping[str, Values]],
) -> Gains:
    ratios, methods = {}, {}
    for dataset, method in compared_with.items():
        values_of = values[dataset]
        if method in values_of:
            ours, other = values_of[OURS]["full", metric], values_of[method]["full", metric]
            if ours.any() and other.any():
                ratios[dataset], methods[dataset] = log_ratio(ours, other), method
    effects, variances = np.array([*ratios.values()]).reshape(-1, 2).T
    can_pool = len(ratios) > 1 and bool((variances > 0).all())
    pooled = random_effects(effects, variances) if can_pool else None
    return Gains(over, metric, ratios, methods, pooled)


def percent(log_ratio: float) -> str:
    """A log-ratio as a gain in per cent; a gain above 1,000 % has no number."""
    return f"{100 * math.expm1(log_ratio):+.1f}" if log_ratio < math.log(11) else "> +1000"


def gain_text(ratio: float, low: float, high: float) -> str:
    """A log-ratio and its interval, as gains."""
    return f"{percent(ratio)} % [{percent(low)}, {percent(high)}]"
