"""The learning rate's way up and down, and the number of epochs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.training.run import load_config
from llm4rec_recbole.training.trainer import schedule, set_epochs


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


@pytest.mark.parametrize(
    ("n_items", "n_users", "rows", "epochs", "eval_step"),
    [
        (1682, 943, 98_114, 6, 1),  # ml-100k
        (12_101, 22_363, 153_776, 24, 4),  # Beauty: at most 24
        (3_533, 6_034, 563_213, 6, 1),  # dense: at least 6
        (1_000, 100, 35_100, 10, 2),
    ],
)
def test_an_item_is_a_target_as_often_on_every_data_set(
    n_items: int, n_users: int, rows: int, epochs: int, eval_step: int
) -> None:
    class Data:
        item_num, user_num = n_items + 1, n_users + 1

        def __len__(self) -> int:
            return rows

    model = SimpleNamespace(training_length=lambda config: (350, 6, 24))
    config: dict[str, Any] = {"epochs": None, "eval_step": None}
    set_epochs(config, model, Data())
    assert config == {"epochs": epochs, "eval_step": eval_step}
    given = {"epochs": 2, "eval_step": 1}
    set_epochs(given, model, Data())
    assert given == {"epochs": 2, "eval_step": 1}


def test_a_model_without_a_rule_needs_a_number_of_epochs() -> None:
    with pytest.raises(InputError, match="SASRec does not choose its number of epochs"):
        load_config("SASRec", options={"epochs": None})
