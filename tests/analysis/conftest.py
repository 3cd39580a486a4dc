"""The paper's printed tables."""

from __future__ import annotations

import pytest

from llm4rec_recbole.analysis.claims import read_printed
from llm4rec_recbole.analysis.paper.claims import Tables
from llm4rec_recbole.files import printed_folder


@pytest.fixture
def paper() -> Tables:
    """The five tables, read anew: a test may change a number."""
    return read_printed(printed_folder())
