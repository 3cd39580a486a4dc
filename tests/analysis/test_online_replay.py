"""Update rules are compared over users, each against the first."""

from __future__ import annotations

import numpy as np
import pytest

from llm4rec_recbole.analysis.online_replay import compare_to_frozen
from llm4rec_recbole.components.adaptation.prequential import ReplayResult
from llm4rec_recbole.errors import InputError


def replay(method: str, scores: list[float], old_after: float = 0.5) -> ReplayResult:
    n = len(scores)
    milliseconds, selected = np.arange(n, dtype=float), np.full(n, 0.25)
    return ReplayResult(method, np.array(scores), milliseconds, selected, 0.5, old_after)


def test_a_users_events_are_one_observation() -> None:
    users = np.array([4, 9, 4, 9, 4])
    rules = compare_to_frozen(
        [replay("frozen", [0, 0, 0, 1, 0]), replay("sgd", [1, 0, 0.5, 1, 0], 0.4)], users
    )
    assert rules["frozen"].score == pytest.approx(0.25)  # user 4: 0, user 9: 1/2
    assert rules["sgd"].score == pytest.approx(0.5)  # user 4: 1/2, user 9: 1/2
    assert rules["sgd"].difference == pytest.approx(0.25)
    assert (rules["sgd"].low, rules["sgd"].high) == (0, 0.5)  # user 9, or user 4, drawn twice
    assert rules["sgd"].forgetting == pytest.approx(0.1)
    assert (rules["sgd"].ms_per_update, rules["sgd"].selected) == (2, 0.25)


def test_the_first_differs_from_itself_by_nothing() -> None:
    first = compare_to_frozen([replay("frozen", [0, 1, 0.5])], np.array([1, 2, 3]))["frozen"]
    assert (first.difference, first.low, first.high, first.p_t) == (0, 0, 0, 1)


def test_one_user_is_not_tested() -> None:
    with pytest.raises(InputError, match=r"events of 1 user\(s\)"):
        compare_to_frozen([replay("frozen", [0, 1])], np.array([3, 3]))
