from __future__ import annotations

from pathlib import Path

import pytest

from llm4rec_recbole.data.dataset_files import dataset_folder
from llm4rec_recbole.datasets.prepare import Interactions, read_interactions


@pytest.fixture(scope="session")
def ml_100k_folder() -> Path:
    return dataset_folder("ml-100k")


@pytest.fixture(scope="session")
def ml_100k(ml_100k_folder) -> Interactions:
    return read_interactions(ml_100k_folder / "ml-100k.inter")
