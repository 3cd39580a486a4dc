"""Better, equivalent, worse or undecided: what a difference and its error allow to conclude.

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
from dataclasses import dataclass
from typing import Literal

LEVEL = 0.05
POWER = 0.8
MARGIN = 0.05  # of the baseline's mean: smaller differences are practically none

Outcome = Literal["better", "equivalent", "worse", "undecided"]


@dataclass(frozen=True)
class Conclusion:
    """What one comparison shows."""

    outcome: Outcome
    smallest_margin: float  # in the unit of the difference
    users: int | None = None  # that would decide an undecided comparison
    seeds: int | None = None  # of each random method that would; None where seeds are unknown

    def __str__(self) -> str:
        return self.describe(None)

    def describe(self, mean: float | None) -> str:
        """In words; margins in per cent of `mean`, the baseline's, where it is given."""
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


def smallest_margin(difference: float, error: float, df: float, level: float = LEVEL) -> float:
    """The smallest margin within which TOST shows equivalence at `level`.

    difference: the observed one; error: its standard error; df: degrees of freedom of the error.
    """
    from scipy import stats

    half = float(stats.t.ppf(1 - level, df)) * error if error else 0.0
    return max(abs(difference - half), abs(difference + half))


def tost(difference: float, error: float, df: float, margin: float) -> float:
    """The p value of TOST: the larger p of the tests of d ≤ -margin and d ≥ margin."""
    from scipy import stats

    if error == 0:
        return 0.0 if abs(difference) < margin else 1.0
    lower = stats.t.sf((difference + margin) / error, df)
    upper = stats.t.cdf((difference - margin) / error, df)
    return float(max(lower, upper))


def conclude(
    difference: float,
    error: float,
    df: float,
    mean: float,
    users: int,
    p: float | None = None,
    margin: float = MARGIN,
    seed_variance: float | None = None,
) -> Conclusion:
    """The conclusion from one comparison.

    mean: the baseline's; users: how many were compared; p: of the difference, adjusted where it
    is one of several (the t test's by default); margin: relative to `mean`; seed_variance: of the
    difference between two single runs over seeds, None where it is unknown.
    """
    from scipy import stats

    if p is None:
        t = abs(difference) / error if error else math.inf if difference else 0.0
        p = float(2 * stats.t.sf(t, df))
    least = smallest_margin(difference, error, df)
    if p < LEVEL and difference:
        return Conclusion("better" if difference > 0 else "worse", least)
    if least <= margin * mean:
        return Conclusion("equivalent", least)
    if not mean:
        return Conclusion("undecided", least)
    needed, seeds = users_to_decide(error**2 * users, margin * mean, seed_variance)
    return Conclusion("undecided", least, max(needed, users + 1), seeds)


def users_to_decide(
    variance: float, margin: float, seed_variance: float | None = None, power: float = POWER
) -> tuple[int, int | None]:
    """Users and seeds that decide a comparison, whichever way it comes out.

    With them a true difference of `margin` is found with `power`, and two methods that are equal
    are shown to be equivalent within `margin` with `power`. variance: of one user's difference.
    Seeds are chosen so that their part of the variance is at most half.
    """
    from scipy import stats

    finds = stats.norm.ppf(1 - LEVEL / 2) + stats.norm.ppf(power)
    equals = stats.norm.ppf(1 - LEVEL) + stats.norm.ppf((1 + power) / 2)
    allowed = (margin / max(finds, equals)) ** 2  # of the mean's variance
    if not seed_variance:
        return math.ceil(variance / allowed), None if seed_variance is None else 1
    seeds = max(2, math.ceil(2 * seed_variance / allowed))
    return math.ceil(variance / (allowed - seed_variance / seeds)), seeds
