from __future__ import annotations

import pytest
from random_held_out import random_held_out

from llm4rec_recbole.data.held_out import HeldOut


@pytest.fixture
def held_out() -> HeldOut:
    return random_held_out()
