"""What git keeps of runs: records, comparisons, and every user's ranks without the lists.

A place is where a run lies below `runs` and `users`: data set/protocol/method/seed_<k>.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from llm4rec_recbole.analysis import compare
from llm4rec_recbole.evaluation.users_file import has_lists, write_ranks


def keep(results: Path, kept: Path) -> None:
    """Leave in `kept` the comparisons, and each run's record and its users' ranks."""
    _copy(results / compare.FILE, kept / compare.FILE)
    for place in places(results):
        _copy(_record(results, place), _record(kept, place))
        if has_lists(_users(results, place)):  # else it came from there
            write_ranks(_users(kept, place), _users(results, place))


def restore(kept: Path, results: Path) -> set[Path]:
    """Take over from `kept` the runs that `results` lacks; those whose ranks are not kept."""
    lacking = places(kept) - places(results)
    whole = {place for place in lacking if _users(kept, place).is_file()}
    for place in whole:  # the record last: it says that the run is there
        _copy(_users(kept, place), _users(results, place))
        _copy(_record(kept, place), _record(results, place))
    return lacking - whole


def places(results: Path) -> set[Path]:
    """The runs that there are records of."""
    records = results.glob("runs/*/*/*/seed_*.json")
    return {record.relative_to(results / "runs").with_suffix("") for record in records}


def _record(results: Path, place: Path) -> Path:
    return results / "runs" / place.with_suffix(".json")


def _users(results: Path, place: Path) -> Path:
    return results / "users" / place.with_suffix(".parquet")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
