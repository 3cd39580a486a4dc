"""Files that mix two units of time are refused; times of one unit never are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4rec_recbole.data.atomic import read_atomic
from llm4rec_recbole.data.atomic_format import UNITS, first_unit_change
from llm4rec_recbole.errors import InputError

SECONDS = st.integers(5 * 10**8, 4 * 10**9)  # 1985 to 2096
FACTORS = st.sampled_from([1, 10**3, 10**6, 10**9])


@given(st.lists(SECONDS, min_size=1), st.lists(SECONDS, min_size=1), FACTORS, FACTORS)
def test_the_first_time_in_another_unit_is_located(first, then, unit, other):
    times = np.array([t * unit for t in first] + [t * other for t in then])
    assert first_unit_change(times) == (None if unit == other else len(first))
    assert first_unit_change(times.astype(float)) == (None if unit == other else len(first))


@given(st.lists(st.tuples(SECONDS, FACTORS), min_size=1))
def test_any_mixture_is_located(pairs):
    times = np.array([time * factor for time, factor in pairs])
    expected = next((n for n, (_, factor) in enumerate(pairs) if factor != pairs[0][1]), None)
    assert first_unit_change(times) == expected


@pytest.mark.parametrize(
    "times",
    [
        [],
        [0, 2 * 10**9, 10**11],
        [0, 10**11],
        [-5, 3, 9],
        [2e9, 9e10],
        [1e10, 5e11, 2e13, 5e14],
        [0, 40_000, 2e9],
        [2000, 60_000, 2e9],
        [30, 2e9],
        [2_000_000, 60_000_000, 3e8],
        [2_000_000, 90_000_000, 2e9],
    ],
)
def test_times_since_another_event_are_left_alone(times):
    assert first_unit_change(np.array(times)) is None


DAYS = st.integers(4000, 22_000)  # 1980 to 2030
PER_DAY = st.sampled_from([1, 24, 1440])  # days, hours, minutes


@given(st.lists(DAYS, min_size=1), PER_DAY, st.lists(SECONDS, min_size=1), FACTORS)
def test_days_hours_or_minutes_beside_another_unit_are_located(days, per_day, seconds, factor):
    coarse = [day * per_day for day in days]
    times = np.array(coarse + [time * factor for time in seconds], dtype=float)
    assert first_unit_change(times) == len(coarse)
    assert first_unit_change(times[::-1]) == len(seconds)
    assert first_unit_change(np.array(coarse)) is None


@pytest.mark.parametrize(
    ("unit", "time"), [("days", 19_700), ("hours", 472_800), ("minutes", 28_368_000)]
)
def test_a_file_with_a_coarse_unit_and_seconds_is_refused_with_its_line(tmp_path, unit, time):
    path = tmp_path / "t.inter"
    head = "user_id:token\titem_id:token\ttimestamp:float\n"
    path.write_text(f"{head}u1\ti1\t1700000000\nu1\ti2\t{time}\n")
    message = f":3: the time is in {unit}, but the times above it are in seconds"
    with pytest.raises(InputError, match=message):
        read_atomic(path)


@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("other", range(4))
def test_a_mixture_in_a_file_is_refused_with_its_line(tmp_path, first, other):
    factors = [1000 ** (other if n % 2 else first) for n in range(6)]
    rows = "".join(f"u{n}\ti{n}\t{(1_700_000_000 + n) * f}\n" for n, f in enumerate(factors))
    path = tmp_path / "t.inter"
    path.write_text(f"user_id:token\titem_id:token\ttimestamp:float\n{rows}")
    if first == other:
        assert len(read_atomic(path)) == 6
        return
    message = f":3: the time is in {UNITS[other]}, but the times above it are in {UNITS[first]}"
    with pytest.raises(InputError, match=message):
        read_atomic(path)
