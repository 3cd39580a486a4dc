"""The verdict on a claim of the paper, by rules: the first of these that applies.

    contradicted by the paper itself   its own printed numbers give something else
    supported                          it is about the printed numbers only, and they agree
    not testable here                  no run could test it, or none that could has been made
    not supported                      what `judge` says of any measurement
    not testable here                  what `judge` says of any measurement
    supported                          what `judge` says of all

A measurement is of one metric on one data set and protocol. `judge` asks whether Ours is above the
best baseline there (Tables IV and V: the row above what it is compared with):

    not supported       no, by a number without an interval
    not testable here   yes, by a number without an interval
    not supported       the interval of the gain lies below the printed one
    not supported       it is below, by more than chance (Holm's p)
    supported           it is above, by more than chance
    not testable here   the same, but a baseline that might be the best one failed or never ran
    not testable here   it may be chance, and so many users cannot show a gain as small as printed
    not supported       it may be chance

Of two measurements with the same users, the one with the larger gain never has the worse verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llm4rec_recbole.analysis.arithmetic import per_cent
from llm4rec_recbole.analysis.claim_list import Claim
from llm4rec_recbole.analysis.comparisons import LEVEL

Verdict = Literal[
    "supported", "not supported", "contradicted by the paper itself", "not testable here"
]


@dataclass(frozen=True)
class Measured:
    """Ours on one data set and protocol; gains in per cent of the best baseline's mean."""

    where: str
    metric: str
    text: str
    gain: float | None = None
    low: float | None = None  # of the gain's 95 % interval; None where there is no interval
    high: float | None = None
    p_holm: float | None = None
    detectable: float | None = None  # the least gain that this many users show, with 80 % power
    missing: str = ""  # which baselines failed or never ran, and might be the best


def verdict(claim: Claim, measured: Sequence[Measured], absent: str = "") -> tuple[Verdict, str]:
    """The verdict and the reason; `absent` says why nothing was measured, where nothing was."""
    if claim.holds is False:
        by_rounding = "may be" if claim.rounding else "is not"
        return "contradicted by the paper itself", f"rounding {by_rounding} the reason"
    if claim.internal:
        return "supported", "by the paper's own numbers"
    if claim.needs:
        return "not testable here", claim.needs
    if not measured:
        return "not testable here", absent
    judged = [(m, *judge(claim, m)) for m in measured]
    for worst in ("not supported", "not testable here"):
        for m, its_verdict, reason in judged:
            if its_verdict == worst:
                return its_verdict, f"{m.where}: {reason}"
    less = ", and not by less than is printed" if claim.gains else ""
    return "supported", f"above {_other(claim)}{less}"


def judge(claim: Claim, m: Measured) -> tuple[Verdict, str]:
    """What one measurement says of `claim`, and why."""
    other, printed = _other(claim), claim.gains.get(m.metric)
    above = m.gain is not None and m.gain > 0
    if m.p_holm is None or m.high is None or m.detectable is None:
        if not above:
            return "not supported", f"not above {other}"
        return "not testable here", "one number a run, without an interval, shows no difference"
    if printed and m.high < float(per_cent(printed)):
        less = f"above {other}, but by less than {printed}"
        return "not supported", less if above else f"not above {other}"
    if m.p_holm < LEVEL:
        if not above:
            return "not supported", f"not above {other}"
        if m.missing:
            return "not testable here", f"{m.missing}, and might be the best baseline"
        return "supported", ""
    if printed and float(per_cent(printed)) < m.detectable:
        few = f"so many users show gains from {m.detectable:.0f} % on, and {printed} is printed"
        return "not testable here", few
    chance = f"the difference may be chance, p {m.p_holm:.2g}"
    return "not supported", chance if above else f"not above {other}"


def _other(claim: Claim) -> str:
    return "the best baseline" if claim.test is None else claim.test.baseline
