"""Whether comparisons.csv was made from the runs that are there now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from llm4rec_recbole.analysis.ablation import Pairing
from llm4rec_recbole.analysis.compare import Label, differences
from llm4rec_recbole.analysis.comparisons import Comparison
from llm4rec_recbole.analysis.per_user import TOLERANCE, Values
from llm4rec_recbole.analysis.records import Record
from llm4rec_recbole.errors import InputError


def checked(
    comparisons: Sequence[Comparison],
    values: dict[str, Values],
    columns: Sequence[tuple[str, str]],
    pairs: Pairing,
    path: Path,
) -> dict[Label, Comparison]:
    """`comparisons` of one table and place by what they compare, as `values` give them anew.

    Raises InputError where one of the two has a comparison that the other lacks, or another
    difference.
    """
    given = {(c.ranking, c.metric, c.method, c.baseline): c for c in comparisons}
    made = {
        label: float(each.mean())
        for group in differences(values, columns, pairs)
        for label, each in group
    }
    if given.keys() != made.keys():
        raise stale(path)
    if any(abs(given[label].difference - mean) > TOLERANCE for label, mean in made.items()):
        raise stale(path)
    return given


def check_whole_runs(
    comparisons: Sequence[Comparison], records: Mapping[str, Sequence[Record]], path: Path
) -> None:
    """The same of numbers that a run has as a whole, which the records hold. None need be there:
    without the data set's files none is made."""
    for c in comparisons:
        numbers = [
            [record.beyond_accuracy[c.metric] for record in records.get(method, ())]
            for method in (c.method, c.baseline)
        ]
        if not all(numbers) or any(each is None for its in numbers for each in its):
            raise stale(path)
        ours, baseline = (float(np.mean(np.array(its, dtype=float))) for its in numbers)
        if abs(c.difference - (ours - baseline)) > TOLERANCE:
            raise stale(path)


def stale(path: Path) -> InputError:
    """What to raise when comparisons.csv is older than the runs."""
    hint = "run `python -m llm4rec_recbole.analysis.compare` again"
    return InputError("the comparisons were not made from these users files", file=path, hint=hint)
