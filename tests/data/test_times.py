from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4rec_recbole.data.timestamps import first_in_another_unit

SECONDS = st.integers(10**8, 4 * 10**9)  # 1973 to 2096


@given(st.lists(SECONDS, min_size=1), st.lists(SECONDS, min_size=1), st.sampled_from([1, 1000]))
def test_the_first_time_in_another_unit_is_found(first, then, unit):
    times = np.array([t * unit for t in first] + [t * (1000 // unit) for t in then])
    apart = 100 * max(first if unit == 1 else then) <= 1000 * min(then if unit == 1 else first)
    assert first_in_another_unit(times) == (len(first) if apart else None)
    assert first_in_another_unit(times[: len(first)]) is None


@pytest.mark.parametrize("times", [[0, 2 * 10**9, 10**11], [0, 10**11], [-5, 3, 9], [2e9, 9e10]])
def test_times_of_ones_own_count_are_left_alone(times):
    assert first_in_another_unit(np.array(times)) is None
