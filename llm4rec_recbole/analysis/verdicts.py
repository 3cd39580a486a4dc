"""The rules of the verdicts on claims.

RULES says when each verdict applies; the first that applies is given. A measurement is of one
metric on one data set and protocol, full ranking. Of several measurements the worst decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from llm4rec_recbole.analysis import power, significance
from llm4rec_recbole.analysis.paper import paper_tables
from llm4rec_recbole.analysis.paper.claims import Claim
from llm4rec_recbole.analysis.paper.paper_tables import per_cent

Verdict = Literal[
    "contradicted by the paper itself",
    "consistent within rounding",
    "contradicted by our data",
    "no effect larger than x %",
    "not decided here",
    "above, but not by the printed size",
    "undecidable even on the paper's own data",
    "not run",
    "supported",
]

#: Each verdict and its rule.
RULES: dict[Verdict, str] = {
    "contradicted by the paper itself": "the paper's own printed numbers give something else",
    "consistent within rounding": "they do, but some numbers that round to the printed ones agree",
    "contradicted by our data": "a measurement is below, Holm's p below .05",
    "no effect larger than x %": (
        "TOST excludes the printed gain, or 5 % where none is printed, in both directions"
    ),
    "not decided here": "a measurement allows neither conclusion; the reason says what is needed",
    "above, but not by the printed size": (
        "above, Holm's p below .05, but the 95 % interval does not contain the printed gain"
    ),
    "undecidable even on the paper's own data": (
        "the paper leaves out what a test needs, or its data set has fewer users than the printed "
        "gain needs at 80 % power"
    ),
    "not run": "no run that could test it has been made",
    "supported": "above, Holm's p below .05, on all data sets, with two or more seeds",
}


#: The width of a 90 % interval relative to that of a 95 % interval (normal).
_NINETY_OF_NINETY_FIVE = 1.644854 / significance.NORMAL_95


@dataclass(frozen=True)
class Measured:
    """One measurement of a claim; gains in per cent of the baseline's mean."""

    where: str
    metric: str
    text: str
    gain: float | None = None
    low: float | None = None  # of the gain's 95 % interval; None where there is no interval
    high: float | None = None
    p_holm: float | None = None
    detectable: float | None = None  # the least gain that this many users show, with 80 % power
    missing: str = ""  # which baselines failed or never ran, and might be the best
    one_seed: str = ""  # which random methods have one run
    users: int = 0
    null: Measured | None = None  # the comparison with the best reference or null

    @property
    def margin(self) -> float:
        """The smallest margin, in per cent, within which TOST shows equivalence."""
        if self.gain is None or self.high is None or self.low is None:
            return np.inf
        half = (self.high - self.low) / 2 * _NINETY_OF_NINETY_FIVE
        return abs(self.gain) + half


def verdict(
    claim: Claim, measured: Sequence[Measured], absent: str = "", needs_users: int | None = None
) -> tuple[Verdict, str]:
    """The verdict and the reason.

    absent: why there is no measurement; needs_users: how many the claim needs, by the pilot that
    needs the fewest, None where no run can serve as a pilot.
    """
    if claim.holds is False:
        if claim.rounding:
            return "consistent within rounding", "rounding may explain the difference"
        return "contradicted by the paper itself", "rounding does not explain the difference"
    if claim.internal:
        return "supported", "by the paper's own numbers"
    if claim.needs:
        return "undecidable even on the paper's own data", claim.needs
    outcome: tuple[Verdict, str] = (
        ("not run", absent) if not measured else worst_verdict(claim, measured)
    )
    has = power.PAPER_USERS.get(claim.dataset)
    is_open = outcome[0] in ("not run", "not decided here")
    if is_open and has and needs_users and needs_users > has:
        name = paper_tables.DATASET_NAMES[claim.dataset]
        reason = f"needs {needs_users:,} users, and {name} has {has:,}"
        return "undecidable even on the paper's own data", reason
    return outcome


def worst_verdict(claim: Claim, measured: Sequence[Measured]) -> tuple[Verdict, str]:
    """The first verdict of RULES that a measurement has, and the reason; else "supported"."""
    judged = [(m, *judge_measurement(claim, m)) for m in measured]
    for worst in RULES:
        for m, its_verdict, reason in judged:
            if its_verdict == worst != "supported":
                return its_verdict, f"{m.where}: {reason}"
    return "supported", f"above {_other(claim)}"


def judge_measurement(claim: Claim, m: Measured) -> tuple[Verdict, str]:
    """The verdict of one measurement on `claim`, and the reason."""
    other, printed = _other(claim), claim.gains.get(m.metric)
    if m.gain is None or m.p_holm is None or m.low is None or m.high is None:
        return "not decided here", "one number a run, without an interval, shows no difference"
    if m.p_holm < significance.LEVEL:
        if m.gain < 0:
            return "contradicted by our data", f"below {other}, p {m.p_holm:.2g}"
        if m.one_seed:
            return "not decided here", f"one seed of {m.one_seed}"
        if m.missing:
            return "not decided here", f"{m.missing}, and might be the best baseline"
        if printed and not m.low <= float(per_cent(printed)) <= m.high:
            size = f"above {other} by {m.low:.1f} to {m.high:.1f} %, and {printed} is printed"
            return "above, but not by the printed size", size
        return "supported", ""
    limit = abs(float(per_cent(printed))) if printed else 100 * significance.MARGIN
    if m.margin < limit:
        return "no effect larger than x %", f"no effect larger than {m.margin:.2g} % over {other}"
    if m.detectable is None or not np.isfinite(m.detectable) or not limit:
        return "not decided here", f"the difference may be chance, p {m.p_holm:.2g}"
    needs = math.ceil(m.users * (m.detectable / limit) ** 2)
    reason = f"needs {needs:,} users for {limit:g} %; these {m.users:,} show {m.detectable:.0f} %"
    return "not decided here", reason


def _other(claim: Claim) -> str:
    return "the best baseline" if claim.test is None else claim.test.baseline
