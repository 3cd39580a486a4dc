"""The learning rate's way up and down."""

from __future__ import annotations

import pytest

from llm4rec_recbole.training.trainer import schedule


def test_rises_then_falls_to_nothing() -> None:
    shares = [schedule(step, 100, 0.1) for step in range(1, 101)]
    assert shares[:10] == pytest.approx([k / 10 for k in range(1, 11)])
    assert shares[9] == max(shares)
    assert shares[9:] == sorted(shares[9:], reverse=True)
    assert schedule(55, 100, 0.1) == pytest.approx(0.5)
    assert shares[-1] == pytest.approx(0)


def test_without_warm_up_it_starts_at_the_top_and_never_goes_below_nothing() -> None:
    assert schedule(1, 1000, 0.0) == pytest.approx(1, abs=1e-4)
    assert schedule(1200, 1000, 0.1) == pytest.approx(0)
