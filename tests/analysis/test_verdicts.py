"""The rules of the verdicts, one by one, and that a larger gain never has a worse one."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from llm4rec_recbole.analysis.paper.claims import Claim
from llm4rec_recbole.analysis.verdicts import RULES, Measured, Verdict, judge_measurement, verdict

BELOW, NONE = "contradicted by our data", "no effect larger than x %"
OPEN, SIZE, YES = "not decided here", "above, but not by the printed size", "supported"
UNDECIDABLE = "undecidable even on the paper's own data"
WHERE = "ml-100k, loo"


def claim(printed: str = "+1.4%", **more) -> Claim:
    gains = {"ndcg@10": printed} if printed else {}
    return Claim("key", "Table I", "better", metrics=("ndcg@10",), gains=gains, **more)


def measured(gain: float, error: float, tests: int = 60, missing: str = "") -> Measured:
    """A gain with this standard error, its p multiplied as Holm's for the least of `tests`."""
    p = min(1.0, tests * 2 * float(stats.norm.sf(abs(gain) / error)))
    low, high = gain - 1.96 * error, gain + 1.96 * error
    return Measured(WHERE, "ndcg@10", "", gain, low, high, p, 2.8 * error, missing, users=1_000)


@pytest.mark.parametrize(
    ("printed", "gain", "error", "expected", "reason"),
    [
        ("+1.4%", 30.0, 6.0, SIZE, "by 18.2 to 41.8 %, and +1.4% is printed"),
        ("+35%", 30.0, 6.0, YES, ""),
        ("+45%", 30.0, 6.0, SIZE, "and +45% is printed"),
        ("+1.4%", 12.4, 6.2, OPEN, "needs 153,761 users for 1.4 %; these 1,000 show 17 %"),
        ("+1.4%", -5.0, 6.2, OPEN, "needs 153,761 users"),
        ("+1.4%", -30.0, 6.2, BELOW, "below the best baseline"),
        ("+30%", 10.0, 6.2, NONE, "no effect larger than 20 % over the best baseline"),
        ("+30%", 20.0, 8.0, OPEN, "needs 558 users for 30 %"),
        ("", 30.0, 6.0, YES, ""),
        ("", 0.5, 1.0, NONE, "no effect larger than 2.1 %"),
        ("", 5.0, 6.0, OPEN, "for 5 %"),
    ],
)
def test_each_rule(printed, gain, error, expected, reason):
    found, why = judge_measurement(claim(printed), measured(gain, error))
    assert found == expected
    assert reason in why
    assert bool(why) is (expected != YES)


@pytest.mark.parametrize(("gain", "expected"), [(30.0, OPEN), (-30.0, BELOW), (1.0, OPEN)])
def test_what_might_have_been_the_best_baseline_is_in_the_way_of_support_alone(gain, expected):
    found = judge_measurement(claim(), measured(gain, 6.0, missing="P5 failed"))
    assert found[0] == expected
    if gain == 30.0:
        assert found[1] == "P5 failed, and might be the best baseline"


@given(st.floats(-200, 200), st.floats(0.5, 60), st.sampled_from(["", "+0.3%", "+1.4%", "+30%"]))
def test_the_sign_of_a_significant_gain_and_the_margin_fix_the_verdict(gain, error, printed):
    m = measured(gain, error)
    found = judge_measurement(claim(printed), m)[0]
    assert (found == BELOW) is (m.p_holm < 0.05 and gain < 0)
    assert (found in (YES, SIZE)) is (m.p_holm < 0.05 and gain > 0)
    if found == NONE:
        assert m.margin < abs(float(printed.strip("+%") or 5))


def test_claims_that_the_papers_own_users_cannot_show_are_undecidable():
    step = claim(dataset="ml-25m")
    few = "needs 261,291 users, and MovieLens-25M has 162,541"
    assert verdict(step, [], "no run", 261_291) == (UNDECIDABLE, few)
    assert verdict(step, [measured(1.0, 6.2)], "", 261_291) == (UNDECIDABLE, few)
    assert verdict(step, [measured(-60.0, 6.2)], "", 261_291)[0] == BELOW
    assert verdict(step, [], "no run", 160_000)[0] == "not run"
    assert verdict(claim(dataset="yelp-2023"), [], "no run", 261_291)[0] == "not run"


def test_every_verdict_has_a_rule():
    assert set(RULES) == set(get_args(Verdict))


def test_the_worst_measurement_decides_and_is_named():
    good, unclear, bad = measured(30.0, 6.0), measured(5.0, 6.0), measured(-30.0, 6.0)
    assert verdict(claim("+35%"), [good, good])[0] == YES
    assert verdict(claim("+1.4%"), [good, unclear])[0] == OPEN
    found, reason = verdict(claim(), [unclear, bad, good])
    assert found == BELOW
    assert reason.startswith(f"{WHERE}: below the best baseline, p ")


def test_contradictions_within_the_paper_take_precedence():
    bad = [measured(-30.0, 6.0)]
    contradicted = "contradicted by the paper itself"
    assert verdict(claim(holds=False), bad)[0] == contradicted
    assert verdict(claim(holds=False, rounding=True), bad) == (
        "consistent within rounding", "rounding may explain the difference",
    )  # fmt: skip
    assert verdict(claim(internal=True, holds=True), bad)[0] == YES
    assert verdict(claim(needs="a protocol"), bad) == (UNDECIDABLE, "a protocol")
    assert verdict(claim(), [], "no run of it") == ("not run", "no run of it")


def test_one_seed_is_in_the_way_of_support_alone():
    for gain, expected in ((30.0, OPEN), (-30.0, BELOW)):
        m = replace(measured(gain, 6.0), one_seed="P5")
        assert judge_measurement(claim(), m)[0] == expected
    assert judge_measurement(claim(), replace(measured(30.0, 6.0), one_seed="P5"))[1] == (
        "one seed of P5"
    )
