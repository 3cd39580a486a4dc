"""The tests of all tables: results/comparisons.csv, a row per pair of methods and metric.

| table | method | baseline |
|---|---|---|
| table_1, table_2 | EnhancedGenRec | each of the paper's five baselines, and the best null |
| table_1_nulls, table_2_nulls | a method that claims a component | each of its nulls that ran |
| table_1_further, table_2_further | a method that no table names | the best of all baselines |
| table_4, table_5 | the pairs of paper_methods.py | |

Only full rankings are tested: no claim rests on sampled ones. The best null is a reference or one
of the nulls of the whole method or of its language model (properties/nulls.yaml). It and the best
baseline have the highest validation NDCG@10, so nothing is chosen on test items. Holm's adjustment
runs over all tests of one table. Other nulls, and methods that no table names, therefore never
change a p value of the paper's rows.

Where a method has several seeds, the t test, the interval and the detectable difference treat users
and seeds as random (significance.users_and_seeds). The randomization test is over users alone.

Each row ends with a conclusion (equivalence.py): better or worse by Holm's p, equivalent within a
margin by TOST, or undecided with the users and seeds that would decide it. A random method with one
seed is named there, because it supports no claim.

Coverage and fairness have no value per user: system_level_tests.py tests them, and their z tests
join the family of Table II.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from llm4rec_recbole.analysis import significance, system_level_tests
from llm4rec_recbole.analysis.equivalence import conclude
from llm4rec_recbole.analysis.paired_tests import (
    LEVEL,
    MAX_EFFECT,
    ONE_SEED,
    Comparison,
    Setting,
    paired_tests,
    per_user_differences,
)
from llm4rec_recbole.analysis.paper import paper_methods
from llm4rec_recbole.analysis.paper.paper_methods import (
    OURS,
    REFERENCES,
    Pairing,
    Pairs,
    further_methods,
    paper_baselines,
    table_methods,
)
from llm4rec_recbole.evaluation.records import Record, by_method, read_records
from llm4rec_recbole.evaluation.users_file import BEYOND_ACCURACY, Values, per_seed_values
from llm4rec_recbole.registry import nulls

METRICS = ("hit@10", "ndcg@10")  # those that Table I prints
#: Tables I and II: the (ranking, metric) columns with a value per user that are tested.
COLUMNS = {
    "table_1": [("full", metric) for metric in METRICS],
    "table_2": [("full", metric) for metric in BEYOND_ACCURACY],
}

#: The kinds of pairs of Tables I and II, and what their tables' names end in.
KINDS = {"claims": "", "nulls": "_nulls", "further": "_further"}

Runs = Mapping[str, Sequence[Record]]  # method -> its seeds


def validation_ndcg(records: Sequence[Record]) -> float | None:
    """Mean over seeds of the best validation NDCG@10; None where a record lacks its history."""
    best = [max((value for _, value in record.history), default=None) for record in records]
    known = [value for value in best if value is not None]
    return float(np.mean(known)) if known and len(known) == len(best) else None


def best_on_validation(runs: Runs, methods: Iterable[str]) -> str | None:
    """The one of `methods` with the highest validation NDCG@10, the first of equals; or None."""
    scores = {method: validation_ndcg(runs[method]) for method in methods if method in runs}
    scored = {method: score for method, score in scores.items() if score is not None}
    return max(scored, key=scored.__getitem__) if scored else None


def best_null(runs: Runs, method: str) -> str | None:
    """The reference, or null of `method`, with the highest validation NDCG@10; None without any.

    A null of a component other than the language model is the method itself without a part of it.
    It judges that component (null_ladder.py), not the method.
    """
    ladder = [
        null
        for null, its in nulls().items()
        if method in its["of"] and its["part"] in ("whole", "language model")
    ]
    return best_on_validation(runs, [*REFERENCES, *ladder])


def table_pairs(runs: Runs, recbole_row: str = "BPR") -> dict[str, list[tuple[str, str]]]:
    """The (method, baseline) pairs of Tables I and II, and of the methods that no table names."""
    baselines = [method for method in paper_baselines(recbole_row) if method in runs]
    null = best_null(runs, OURS)
    references = [] if null is None else [null]
    best_baseline = best_on_validation(runs, [*paper_baselines(recbole_row), *REFERENCES])
    claims = [(OURS, baseline) for baseline in [*baselines, *references] if OURS in runs]
    further = [
        (method, best_baseline)
        for method in further_methods(runs.keys(), recbole_row)
        if best_baseline is not None and method not in nulls()
    ]
    ladder = [
        (method, null) for null, its in nulls().items() for method in its["of"]
        if null in runs and method in runs
    ]  # fmt: skip
    return {"claims": claims, "nulls": ladder, "further": further}


def pairing(pairs: Sequence[tuple[str, str]]) -> Pairing:
    """Compares the given pairs of methods."""

    def compared(values: dict[str, np.ndarray]) -> Pairs:
        for method, baseline in pairs:
            if method in values and baseline in values:
                yield method, baseline, values[method] - values[baseline]

    return compared


def compare(
    results: Path, recbole_row: str = "BPR", data: Path = Path("dataset")
) -> list[Comparison]:
    """All comparisons, by table, data set and protocol, column, pair.

    data: the folder of the data sets' atomic files. Without them fairness is not compared.
    """
    records = read_records(results)
    further = further_methods({record.method for record in records}, recbole_row)
    tabled = table_methods(recbole_row, further)
    everything = tuple(dict.fromkeys([*tabled, *paper_methods.METHODS]))
    grouped = by_method(records, everything)
    tables: dict[str, list[Comparison]] = {
        name: []
        for name in (
            *(table + ending for ending in KINDS.values() for table in COLUMNS),
            *paper_methods.TABLES,
        )
    }
    for setting, runs in sorted(grouped.items()):
        seeds = per_seed_values(runs)
        values = averaged(seeds)
        tabled_runs = {method: its for method, its in runs.items() if method in tabled}
        pairs = table_pairs(tabled_runs, recbole_row)
        for kind, ending in KINDS.items():
            used = {method for pair in pairs[kind] for method in pair}
            of_pairs = {method: its for method, its in values.items() if method in used}
            for table, columns in COLUMNS.items():
                name = table + ending
                tables[name] += _tests(
                    name, setting, of_pairs, columns, pairing(pairs[kind]), seeds
                )
            pair_runs = {method: its for method, its in tabled_runs.items() if method in used}
            name = "table_2" + ending
            tables[name] += _system_level(name, setting, pair_runs, pairs[kind], data)
        for table, (pairs_of, columns) in paper_methods.TABLES.items():
            ablated = {m: values[m] for m in paper_methods.METHODS if m in values}
            tables[table] += _tests(table, setting, ablated, columns, pairs_of, seeds)
    return [row for rows in tables.values() for row in _adjusted(rows)]


def averaged(seeds: Mapping[str, Values]) -> dict[str, Values]:
    """Values (U,) averaged over seeds, from values (S, U)."""
    return {
        method: {column: values.mean(axis=0) for column, values in columns.items()}
        for method, columns in seeds.items()
    }


def _adjusted(rows: list[Comparison]) -> list[Comparison]:
    adjusted = significance.holm(np.array([row.p_t for row in rows]))
    return [_concluded(replace(row, p_holm=float(p))) for row, p in zip(rows, adjusted)]


def _concluded(row: Comparison) -> Comparison:
    """`row` with "better" or "worse" in place of its conclusion where Holm's p is small."""
    if row.p_holm >= LEVEL or not row.difference:
        return row
    _, colon, one_seed = row.conclusion.partition(ONE_SEED)
    better = "better" if row.difference > 0 else "worse"
    return replace(row, conclusion=f"{better}{colon}{one_seed}")


def _tests(
    table: str,
    setting: Setting,
    values: dict[str, Values],
    columns: Sequence[tuple[str, str]],
    pairs: Pairing,
    seeds: Mapping[str, Values],
) -> list[Comparison]:
    its_seeds = {method: seeds[method] for method in values}
    return [
        test
        for group in per_user_differences(values, columns, pairs)
        for test in paired_tests(table, setting, group, its_seeds)
    ]


def _system_level(
    table: str,
    setting: Setting,
    runs: Runs,
    pairs: Sequence[tuple[str, str]],
    data: Path,
) -> list[Comparison]:
    """The pairs' tests in coverage and fairness, which have no value per user."""
    rows = []
    for metric in system_level_tests.METRICS if pairs else ():
        sums = system_level_tests.user_sums(runs, metric, data)
        for method, baseline in pairs:
            if method not in sums or baseline not in sums:
                continue
            result = asdict(system_level_tests.compare_methods(sums[method], sums[baseline]))
            result["d"] = float(np.clip(result["d"], -MAX_EFFECT, MAX_EFFECT))
            users = sums[method][0].per_user.shape[0]
            result["conclusion"] = _system_level_conclusion(result, sums[baseline], users)
            rows.append(
                Comparison(table, *setting, "full", metric, method, baseline, **result,
                           p_holm=1.0, users=users)
            )  # fmt: skip
    return rows


def _system_level_conclusion(
    result: Mapping[str, float], baseline: Sequence[system_level_tests.UserSums], users: int
) -> str:
    """Equivalent or undecided, from the standard error and the degrees of freedom of the z test."""
    mean = float(np.mean([run.value for run in baseline]))
    error = (result["high"] - result["low"]) / 2 / significance.NORMAL_95
    return conclude(result["difference"], error, np.inf, mean, users, p=1.0).describe(mean)
