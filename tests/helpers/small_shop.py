"""A shop of 30 users and 40 items, and the command on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llm4rec_recbole.cli.run import run_recbole

HEAD = ["user_id:token", "item_id:token", "rating:float", "timestamp:float"]
N_USERS, N_ITEMS = 30, 40
RECBOLE = "--protocol=recbole"
PARTS = "--benchmark_filename=[train,valid,test]"


def rows(seed: int = 0) -> list[list[str]]:
    """Users, items, ratings and times, user by user."""
    draw = np.random.default_rng(seed)
    return [
        [f"u{user}", f"i{item}", str(draw.integers(1, 6)), str(10**9 + 1000 * step + user)]
        for user in range(N_USERS)
        for step, item in enumerate(draw.permutation(N_ITEMS)[:9])
    ]


def write(
    name: str, table: list[list[str]], separator: str = "\t", encoding: str = "utf-8"
) -> None:
    """Write the atomic file dataset/`name`, such as shop/shop.inter."""
    path = Path("dataset", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(separator.join(row) for row in [HEAD, *table]) + "\n"
    path.write_bytes(text.encode(encoding))


def command(capsys: pytest.CaptureFixture, *argv: str, model: str = "EASE", data: str = "shop"):
    """Exit status, standard output, and what the command printed to stderr besides its log."""
    options = [f"--model={model}", f"--dataset={data}", "--show_progress=false", "--quiet=true"]
    options += ["--load_col={inter: [user_id, item_id, rating, timestamp]}"] * (data != "ml-1m")
    status = run_recbole([*options, *argv])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return status, out, err
