"""How long each cell will take: what it, or its method's other seeds, took before."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence

from llm4rec_recbole.pipeline import state
from llm4rec_recbole.pipeline.cells import Cell


def expected(cells: Sequence[Cell]) -> dict[Cell, float]:
    """Seconds that each cell will take, for those of which anything is known.

    A cell's own wall-clock time here, else its record's training time (in the folder or, when DVC
    has just removed it to make it anew, in the last commit), else the mean of the same method's
    other seeds.
    """
    taken = _taken(cells)
    estimates = {}
    for cell in cells:
        siblings = [s for c, s in taken.items() if _but_seed(c) == _but_seed(cell)]
        if cell in taken:
            estimates[cell] = taken[cell]
        elif siblings:
            estimates[cell] = sum(siblings) / len(siblings)
    return estimates


def phrase(seconds: float) -> str:
    """A duration for people: `40 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _but_seed(cell: Cell) -> tuple[str, str, str]:
    return cell.dataset, cell.protocol, cell.method


def _taken(cells: Sequence[Cell]) -> dict[Cell, float]:
    taken = {}
    without: list[Cell] = []
    for cell in cells:
        seconds = state.read(cell).get("seconds")
        if seconds is None and cell.record.is_file():
            seconds = _training_seconds(cell.record.read_bytes())
        if seconds is None:
            without.append(cell)
        else:
            taken[cell] = seconds
    for cell, record in zip(without, _committed(without)):
        seconds = _training_seconds(record)
        if seconds is not None:
            taken[cell] = seconds
    return taken


def _training_seconds(record: bytes) -> float | None:
    try:
        return float(json.loads(record)["cost"]["train_seconds"])
    except (ValueError, KeyError, TypeError):
        return None


def _committed(cells: Sequence[Cell]) -> list[bytes]:
    """The cells' records as of the last commit, empty where it has none; one call of git."""
    if not cells:
        return []
    names = "".join(f"HEAD:./{cell.record.as_posix()}\n" for cell in cells)
    git = ["git", "cat-file", "--batch"]
    output = subprocess.run(git, input=names.encode(), capture_output=True, check=False).stdout
    records = []
    for _ in cells:
        header, _, output = output.partition(b"\n")  # "<id> blob <size>", or "<name> missing"
        words = header.split()
        size = int(words[2]) if words[1:2] == [b"blob"] else None
        records.append(output[:size] if size else b"")
        output = output[size + 1 :] if size is not None else output
    return records
