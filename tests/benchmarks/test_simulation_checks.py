"""The simulation checks, with fewer experiments."""

from __future__ import annotations

import pytest

from benchmarks.studies.simulation_checks import checks


def test_levels_coverage_and_power_are_near_what_they_should_be():
    level, covered, found, equal, shown, family = (value for _, _, value in checks(500))
    assert level == pytest.approx(0.05, abs=0.03)
    assert covered == pytest.approx(0.95, abs=0.03)
    assert (found, shown) == pytest.approx((0.8, 0.8), abs=0.06)
    assert equal < 0.08
    assert family == pytest.approx(0.05, abs=0.03)
