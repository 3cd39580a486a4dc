"""A small EnhancedGenRec, and a data set with texts, categories and groups of users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.trained_models import SMALL


@pytest.fixture(autouse=True)
def run_safely(own_folder: None, only_read_options: None) -> None:
    """Every test here may train a model."""


@pytest.fixture
def small(options: dict[str, Any]) -> dict[str, Any]:
    return options | SMALL | {"eval_step": 1, "retrieved_entries": 3}


@pytest.fixture
def described(two_cycles: Path, tmp_path: Path, small: dict[str, Any]) -> dict[str, Any]:
    """`two_cycles` with titles and categories for all items but two, and users' genders."""
    folder = tmp_path / "described" / "two_cycles"
    folder.mkdir(parents=True)
    (folder / "two_cycles.inter").write_text(
        (two_cycles / "two_cycles" / "two_cycles.inter").read_text()
    )
    rows = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"]
    for item in range(40):
        kind = "even" if item % 2 == 0 else "odd"
        rows.append(f"i{item}\tThe {kind} number {item}\t{1950 + item}\t{kind} whole")
    rows[5] = "i4\t\t\t"
    (folder / "two_cycles.item").write_text("\n".join(rows[:-1]) + "\n")
    users = [f"u{u}\t{20 + u}\t{'MF'[u % 2]}\tnone" for u in range(60)]
    head = "user_id:token\tage:token\tgender:token\toccupation:token"
    (folder / "two_cycles.user").write_text("\n".join([head, *users]) + "\n")
    return small | {"data_path": str(folder.parent)}
