"""The tests of all tables: results/comparisons.csv, a row per method, ranking and metric.

Tables I and II compare every method with the best baseline of each data set, protocol, ranking and
metric. The best baseline has the highest mean on the same users, so its own lead is slightly
overstated and the lead of EnhancedGenRec, which is never a baseline, slightly understated. Tables
IV and V compare the pairs that paper_methods.py lists.

Holm's adjustment runs over all tests of one table. Coverage and fairness have no value per user:
system_level_tests.py tests them, and their z tests join the family.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from llm4rec_recbole.analysis import significance, system_level_tests
from llm4rec_recbole.analysis.paper import paper_methods
from llm4rec_recbole.analysis.paper.paper_methods import OURS, Pairing, Pairs, table_methods
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.per_user import Values, per_user_values
from llm4rec_recbole.evaluation.records import (
    RANKINGS,
    Record,
    by_method,
    read_records,
    read_rows,
    write_rows,
)
from llm4rec_recbole.evaluation.users_file import BEYOND_ACCURACY

FILE = "comparisons.csv"
_HINT = "run `llm4rec compare`"
LEVEL = 0.05  # below which Holm's p counts as a difference


@dataclass(frozen=True)
class Comparison:
    """One method against the best baseline; a row of comparisons.csv."""

    table: str
    dataset: str
    protocol: str
    ranking: str
    metric: str
    method: str
    baseline: str
    difference: float  # mean over users of method - baseline
    low: float  # 95 % bootstrap interval of the difference
    high: float
    d: float  # Cohen's d, paired: t / √U
    p_t: float  # of the paired t test; for a number of a whole run, the z test of whole_run.py
    p_randomization: float
    p_holm: float  # p_t, adjusted over the whole table
    users: int
    smallest_detectable: float  # with 80 % power at the 5 % level, before Holm


def write_comparisons(path: Path, comparisons: list[Comparison]) -> None:
    """Write one row for each comparison, with a header, atomically."""
    write_rows(path, Comparison, comparisons)


def read_comparisons(path: Path) -> list[Comparison]:
    """Read what `write_comparisons` wrote; InputError names the line that it cannot have."""
    try:
        return read_rows(path, Comparison, _HINT)
    except FileNotFoundError as error:
        raise InputError("there are no comparisons", file=path, hint=_HINT) from error


Label = tuple[str, str, str, str]  # ranking, metric, method, baseline

METRICS = ("hit@10", "ndcg@10")  # those that Table I prints
#: Of Tables I and II: (ranking, metric) of what each user has a value of.
COLUMNS = {
    "table_1": [(ranking, metric) for ranking in RANKINGS for metric in METRICS],
    "table_2": [("full", metric) for metric in BEYOND_ACCURACY],
}


def best_baseline(means: dict[str, float]) -> str | None:
    """The baseline with the largest mean, the first of several equal ones; None without one."""
    baselines = [method for method in means if method != OURS]
    return max(baselines, key=means.__getitem__) if baselines else None


def compare(
    results: Path, recbole_row: str = "BPR", data: Path = Path("dataset")
) -> list[Comparison]:
    """All comparisons of Tables I, II, IV and V, in the order of their sections, columns, rows.

    data: the folder of the data sets' atomic files; without them fairness is not compared.
    """
    main = table_methods(recbole_row)
    tables: list[tuple[str, Pairing, list[tuple[str, str]], tuple[str, ...]]] = [
        *((table, against_best_baseline, columns, main) for table, columns in COLUMNS.items()),
        *((table, *made, paper_methods.METHODS) for table, made in paper_methods.TABLES.items()),
    ]
    everything = tuple(dict.fromkeys([*main, *paper_methods.METHODS]))
    grouped = by_method(read_records(results), everything)
    values = {place: per_user_values(methods) for place, methods in grouped.items()}
    found = []
    for table, pairs, columns, methods in tables:
        rows = []
        for place in sorted(values):
            its_values = {m: values[place][m] for m in methods if m in values[place]}
            for together in per_user_differences(its_values, columns, pairs):
                rows += test_differences(table, place, together)
            if table == "table_2":
                here = {m: grouped[place][m] for m in methods if m in grouped[place]}
                rows += _whole_runs(table, place, here, data)
        adjusted = significance.holm(np.array([row.p_t for row in rows]))
        found += [replace(row, p_holm=float(p)) for row, p in zip(rows, adjusted)]
    return found


def against_best_baseline(values: dict[str, np.ndarray]) -> Pairs:
    """Every other method against the best baseline; values: method -> (U,)."""
    baseline = best_baseline({method: float(v.mean()) for method, v in values.items()})
    for method in values:
        if baseline is not None and method != baseline:
            yield method, baseline, values[method] - values[baseline]


def per_user_differences(
    values: dict[str, Values],
    columns: Sequence[tuple[str, str]],
    pairs: Pairing,
) -> list[list[tuple[Label, np.ndarray]]]:
    """Per-user differences (U,) of all `pairs` in all `columns`, those of the same users together.

    A user for whom one method's list has no value is left out of that column for all methods, so
    a column is not compared where the lists of one method are not at hand.
    """
    groups: dict[bytes, list[tuple[Label, np.ndarray]]] = {}
    for ranking, metric in columns if values else ():
        column = {method: its[ranking, metric] for method, its in values.items()}
        known = ~np.isnan([*column.values()]).any(axis=0)  # (U,)
        if known.any():
            found = pairs({method: each[known] for method, each in column.items()})
            groups.setdefault(known.tobytes(), []).extend(
                ((ranking, metric, method, baseline), each) for method, baseline, each in found
            )
    return [group for group in groups.values() if group]


def test_differences(
    table: str,
    place: tuple[str, str],
    labelled: list[tuple[Label, np.ndarray]],
) -> list[Comparison]:
    """The tests of differences (U,) of the same users, without Holm's adjustment (p_holm is 1).

    Raises InputError where there is one user.
    """
    stacked = np.stack([each for _, each in labelled], axis=1)  # (U, C)
    if len(stacked) < 2:
        raise InputError(f"{place[0]} {place[1]} has one test user: a test needs two")
    low, high = significance.bootstrap_interval(stacked)
    numbers = zip(
        stacked.mean(axis=0).tolist(),
        low.tolist(),
        high.tolist(),
        significance.effect_size(stacked).tolist(),
        significance.paired_t(stacked).tolist(),
        significance.randomization(stacked).tolist(),
        significance.smallest_detectable(stacked).tolist(),
    )
    return [
        Comparison(table, *place, *label, difference, lower, upper, d, p_t, p_r,
                   p_holm=1.0, users=len(stacked), smallest_detectable=detectable)
        for (label, _), (difference, lower, upper, d, p_t, p_r, detectable) in zip(
            labelled, numbers
        )
    ]  # fmt: skip


def _whole_runs(
    table: str, place: tuple[str, str], methods: dict[str, list[Record]], data: Path
) -> list[Comparison]:
    """The methods against the best baseline in the numbers of a whole run."""
    rows = []
    for metric in system_level_tests.METRICS:
        found = system_level_tests.user_sums(methods, metric, data)
        means = {method: sum(s.value for s in runs) / len(runs) for method, runs in found.items()}
        baseline = best_baseline(means)
        for method in found:
            if baseline is None or method == baseline:
                continue
            result = asdict(system_level_tests.compare_methods(found[method], found[baseline]))
            users = found[method][0].of_users.shape[0]
            rows.append(
                Comparison(table, *place, "full", metric, method, baseline, **result,
                           p_holm=1.0, users=users)
            )  # fmt: skip
    return rows
