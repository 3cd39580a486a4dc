"""Worker: raw CSV to windows that can train, step by step, with the process's peak memory."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
from answer import serve

LENGTH = 50  # items in a window


def first_start(raw: str, folder: str) -> dict[str, Any]:
    """From ratings.csv: atomic file, check, columnar cache, split, windows."""
    from llm4rec_recbole.data.atomic import check_atomic_files
    from llm4rec_recbole.data.convert import convert
    from llm4rec_recbole.data.source import RawFile, Source

    clock = _Clock()
    source = Source("size", "movielens_csv", {"ratings": [RawFile("ratings.csv")]})
    convert(source, raw, folder)
    clock.lap("to atomic files")
    check_atomic_files(Path(folder), "size")
    clock.lap("check")
    return _windows(folder, clock)


def second_start(folder: str) -> dict[str, Any]:
    """From the cache: split, windows."""
    return _windows(folder, _Clock())


def _windows(folder: str, clock: _Clock) -> dict[str, Any]:
    from llm4rec_recbole.data.cache import cached_interactions
    from llm4rec_recbole.data.splits import leave_one_out
    from llm4rec_recbole.training.windows import Histories, draw_windows

    log = cached_interactions(Path(folder) / "size.inter")
    clock.lap("read")
    split = leave_one_out(log.users, log.items, log.times, len(log.item_tokens))
    clock.lap("split")
    histories = Histories.of(log.users[split.train], log.items[split.train])
    windows = draw_windows(histories, LENGTH + 1, np.random.default_rng(0))
    clock.lap("windows")
    return {
        "seconds": clock.laps,
        "total_seconds": round(sum(clock.laps.values()), 2),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
        "windows": len(windows),
    }


class _Clock:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 2)
        self._last = now


if __name__ == "__main__":
    tasks = {"first_start": first_start, "second_start": second_start}
    serve(tasks, ("numpy", "pandas", "pyarrow"))
