"""Results in git of runs outside the pipeline: records, comparisons, every user's ranks.

Users files in git have no lists and no diversity, which are 95 % of their size.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from llm4rec_recbole.analysis.paired_tests import FILE
from llm4rec_recbole.evaluation.paths import Run, recorded_runs
from llm4rec_recbole.evaluation.users_file import has_lists, write_ranks


def save(results: Path, committed: Path) -> None:
    """Write to `committed` the comparisons, the summaries of the data sets and of the shuffle
    test, and each run's record and ranks."""
    _copy(results / FILE, committed / FILE)
    for path in _notes(results):
        _copy(path, committed / path.relative_to(results))
    for run in runs(results):
        _copy(run.record(results), run.record(committed))
        if has_lists(run.users(results)):  # else the file came from there
            write_ranks(run.users(committed), run.users(results))


def restore(committed: Path, results: Path) -> set[Run]:
    """Copy from `committed` the runs and notes that `results` lacks; returns those without
    ranks."""
    for path in _notes(committed):
        if not (own := results / path.relative_to(committed)).is_file():
            _copy(path, own)
    missing = runs(committed) - runs(results)
    complete = {run for run in missing if run.users(committed).is_file()}
    for run in complete:  # the record last: a record is there only with its ranks
        _copy(run.users(committed), run.users(results))
        _copy(run.record(committed), run.record(results))
    return missing - complete


def runs(results: Path) -> set[Run]:
    """The runs that have records in `results`."""
    return {*recorded_runs(results).values()}


def _notes(folder: Path) -> list[Path]:
    """What the captions of the tables read beside runs."""
    return [*folder.glob("data/*.json"), *folder.glob("order.*")]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
