from __future__ import annotations

import pytest

from tests.helpers.tiny_data import dataset, write  # noqa: F401


@pytest.fixture(autouse=True)
def run_safely(own_folder: None) -> None:
    """Every test here may run RecBole."""
