from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm4rec_recbole.analysis.paper.paper_tables import compounded, gain


def test_a_gain_is_rounded_half_up_to_the_printed_digit():
    assert gain("0.341", "0.334").equals("+2.1%")
    assert gain("1.005", "1.000").equals("+0.5%")
    assert gain("1.0050", "1.0000").equals("+1%")  # 0.5 is rounded up


def test_rounding_may_explain_a_small_difference_but_not_a_large_one():
    assert not gain("0.724", "0.718").equals("+0.9%")
    assert gain("0.724", "0.718").allows("+0.9%")
    assert [gain("0.724", "0.718").allows(f"+{p}%") for p in (0.6, 0.7, 1.0, 1.1)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert not gain("0.305", "0.305").allows("+2.3%")
    assert not gain("0.463", "0.467").allows("+0.9%")


@given(new=st.integers(100, 900), old=st.integers(100, 900), a=st.floats(-0.49, 0.49),
       b=st.floats(-0.49, 0.49))  # fmt: skip
@settings(max_examples=100)
def test_whatever_rounds_to_the_printed_numbers_gives_a_gain_within_the_interval(new, old, a, b):
    found = gain(f"{new / 1000:.3f}", f"{old / 1000:.3f}")
    true = 100 * ((new + a) / (old + b) - 1)
    assert float(found.low) - 1e-9 <= true <= float(found.high) + 1e-9


def test_gains_are_compounded():
    assert compounded(["+10%", "+10%"]).percent == Decimal("21.00")


@pytest.mark.parametrize(("new", "shown"), [("0.5", "+25.00 %"), ("0.3", "-25.00 %")])
def test_it_is_shown_with_its_sign(new, shown):
    assert str(gain(new, "0.4")) == shown
