from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def run_safely(own_folder: None, only_read_options: None) -> None:
    """Every test here may train a model."""
