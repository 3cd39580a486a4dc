"""The rules of the verdicts, one by one, and that a larger gain never has a worse one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from llm4rec_recbole.analysis.claims import Measured, judge_measurement, verdict
from llm4rec_recbole.analysis.paper.claims import Claim

NO, OPEN, YES = "not supported", "not decided here", "supported"
WHERE = "ml-100k, loo"


def claim(printed: str = "+1.4%", **more) -> Claim:
    gains = {"ndcg@10": printed} if printed else {}
    return Claim("key", "Table I", "better", metrics=("ndcg@10",), gains=gains, **more)


def measured(gain: float, error: float, tests: int = 60, missing: str = "") -> Measured:
    """A gain with this standard error, its p multiplied as Holm's for the least of `tests`."""
    p = min(1.0, tests * 2 * float(stats.norm.sf(abs(gain) / error)))
    low, high = gain - 1.96 * error, gain + 1.96 * error
    return Measured(WHERE, "ndcg@10", "", gain, low, high, p, 2.8 * error, missing)


@pytest.mark.parametrize(
    ("printed", "gain", "error", "expected", "reason"),
    [
        ("+1.4%", 30.0, 6.0, YES, ""),
        ("+1.4%", 14.4, 6.2, OPEN, "so many users show gains from 17 % on, and +1.4% is"),
        ("+1.4%", 12.4, 6.2, OPEN, "so many users"),  # not worse than the larger one above
        ("+1.4%", -5.0, 6.2, OPEN, "so many users"),
        ("+1.4%", -20.0, 6.2, NO, "not above"),
        ("+30%", 10.0, 6.2, NO, "but by less than +30%"),
        ("+30%", 20.0, 8.0, NO, "the difference may be chance"),  # 22 % would have shown
        ("+30%", -5.0, 20.0, OPEN, "so many users"),
        ("", 30.0, 6.0, YES, ""),
        ("", 5.0, 6.0, NO, "the difference may be chance"),
        ("", -5.0, 6.0, NO, "not above the best baseline"),
    ],
)
def test_each_rule(printed, gain, error, expected, reason):
    found, why = judge_measurement(claim(printed), measured(gain, error))
    assert found == expected
    assert reason in why
    assert bool(why) is (expected != YES)


def test_a_gain_whose_interval_contains_the_printed_one_supports_the_claim():
    assert judge_measurement(claim("+35%"), measured(30.0, 6.0))[0] == YES  # up to 41.8 %
    assert judge_measurement(claim("+45%"), measured(30.0, 6.0))[0] == NO


def test_what_might_have_been_the_best_baseline_is_in_the_way_of_support_alone():
    for gain, error, expected in ((30.0, 6.0, OPEN), (-30.0, 6.0, NO), (10.0, 60.0, OPEN)):
        assert judge_measurement(claim(), measured(gain, error, missing="P5 failed"))[0] == expected
    assert judge_measurement(claim(), measured(30.0, 6.0, missing="P5 failed"))[1] == (
        "P5 failed, and might be the best baseline"
    )


@given(
    st.lists(st.floats(-200, 200), min_size=2, max_size=8),
    st.floats(0.5, 60),
    st.sampled_from(["", "+0.3%", "+1.4%", "+30%"]),
)
def test_a_larger_gain_never_has_a_worse_verdict(gains, error, printed):
    order = [NO, OPEN, YES]
    ranks = [
        order.index(judge_measurement(claim(printed), measured(g, error))[0]) for g in sorted(gains)
    ]
    assert ranks == sorted(ranks)


def test_the_worst_measurement_decides_and_is_named():
    good, unclear, bad = measured(30.0, 6.0), measured(5.0, 6.0), measured(-30.0, 6.0)
    assert verdict(claim(), [good, good])[0] == YES
    assert verdict(claim(), [good, unclear])[0] == OPEN
    assert verdict(claim(), [unclear, bad, good]) == (
        NO, f"{WHERE}: not above the best baseline",
    )  # fmt: skip


def test_contradictions_within_the_paper_take_precedence():
    bad = [measured(-30.0, 6.0)]
    contradicted = "contradicted by the paper itself"
    assert verdict(claim(holds=False), bad)[0] == contradicted
    assert verdict(claim(holds=False, rounding=True), bad) == (
        "consistent within rounding", "rounding may explain the difference",
    )  # fmt: skip
    assert verdict(claim(internal=True, holds=True), bad)[0] == YES
    assert verdict(claim(needs="a protocol"), bad) == ("not testable here", "a protocol")
    assert verdict(claim(), [], "no run of it") == ("not run", "no run of it")


def test_one_seed_is_in_the_way_of_support_alone():
    for gain, expected in ((30.0, OPEN), (-30.0, NO)):
        m = replace(measured(gain, 6.0), one_seed="P5")
        assert judge_measurement(claim(), m)[0] == expected
    assert judge_measurement(claim(), replace(measured(30.0, 6.0), one_seed="P5"))[1] == (
        "one seed of P5"
    )
