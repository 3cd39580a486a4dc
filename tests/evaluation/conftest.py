from __future__ import annotations

import pytest

from llm4rec_recbole.data.held_out import HeldOut
from tests.helpers.random_held_out import random_held_out


@pytest.fixture
def held_out() -> HeldOut:
    return random_held_out()
