"""The tests of all tables: results/comparisons.csv, a row per pair of methods and metric.

| table | method | baseline |
|---|---|---|
| table_1, table_2 | EnhancedGenRec | each of the paper's five baselines, and the best null |
| table_1_nulls, table_2_nulls | a method that claims a component | each of its nulls that ran |
| table_1_further, table_2_further | a method that no table names | the best of all baselines |
| table_4, table_5 | the pairs of paper_tables.py | |

Only full rankings are tested: no claim rests on sampled ones. The best null is a reference or one
of the nulls of the whole method or of its language model (properties/nulls.yaml). It and the best
baseline have the highest validation NDCG@10, so nothing is chosen on test items. Holm's adjustment
runs over all tests of one table. Other nulls, and methods that no table names, therefore never
change a p value of the paper's rows.

Where a method has several seeds, the t test, the interval and the detectable difference treat users
and seeds as random (significance.users_and_seeds). The randomization test is over users alone.

Each row ends with a conclusion (significance.py): better or worse by Holm's p, equivalent within a
margin by TOST, or undecided with the users and seeds that would decide it. A random method with one
seed is named there, because it supports no claim.

Coverage and fairness have no value per user: system_level_tests.py tests them, and their z tests
join the family of Table II.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole.analysis import significance, system_level_tests
from llm4rec_recbole.analysis.paired_tests import (
    MAX_EFFECT,
    ONE_SEED,
    Comparison,
    Label,
    conclusion,
    paired_tests,
    per_user_differences,
)
from llm4rec_recbole.analysis.paper import paper_tables
from llm4rec_recbole.analysis.paper.paper_tables import (
    METRIC_NAMES,
    OURS,
    PAPER_BASELINES,
    REFERENCES,
    Pairing,
    further_methods,
    pairing,
    table_methods,
)
from llm4rec_recbole.analysis.significance import conclude
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.record_reader import (
    RANKINGS,
    Record,
    Runs,
    Setting,
    by_method,
    mean_over_seeds,
    read_records,
)
from llm4rec_recbole.evaluation.users_file import (
    BEYOND_ACCURACY,
    TOLERANCE,
    Values,
    averaged,
    per_seed_values,
)
from llm4rec_recbole.registry import nulls

Column = tuple[str, str]  # (ranking, metric)
METRICS = ("hit@10", "ndcg@10")  # of Table I
#: Tables I and II: the (ranking, metric) columns with a value per user that are tested.
COLUMNS = {
    "table_1": [("full", metric) for metric in METRICS],
    "table_2": [("full", metric) for metric in BEYOND_ACCURACY],
}

#: The kinds of pairs of Tables I and II, and what their tables' names end in.
KINDS = {"claims": "", "nulls": "_nulls", "further": "_further"}


def best_on_validation(runs: Runs, methods: Iterable[str]) -> str | None:
    """The one of `methods` with the highest validation NDCG@10, the first of equals; or None.

    A method with a record that lacks its history has no score.
    """
    scores = {m: mean_over_seeds(r.valid_ndcg for r in runs[m]) for m in methods if m in runs}
    scored = {method: score for method, score in scores.items() if score is not None}
    return max(scored, key=scored.__getitem__) if scored else None


def best_null(runs: Runs, method: str) -> str | None:
    """The reference, or null of `method`, with the highest validation NDCG@10; None without any.

    A null of a component other than the language model is the method itself without a part of it.
    It judges that component (null_ladder.py), not the method.
    """
    ladder = [
        null
        for null, null_spec in nulls().items()
        if method in null_spec["of"] and null_spec["part"] in ("whole", "language model")
    ]
    return best_on_validation(runs, [*REFERENCES, *ladder])


def table_pairs(runs: Runs) -> dict[str, list[tuple[str, str]]]:
    """The (method, baseline) pairs of Tables I and II, and of the methods that no table names."""
    baselines = [method for method in PAPER_BASELINES if method in runs]
    null = best_null(runs, OURS)
    references = [] if null is None else [null]
    best_baseline = best_on_validation(runs, [*PAPER_BASELINES, *REFERENCES])
    claims = [(OURS, baseline) for baseline in [*baselines, *references] if OURS in runs]
    further = [
        (method, best_baseline)
        for method in further_methods(runs.keys())
        if best_baseline is not None and method not in nulls()
    ]
    ladder = [
        (method, null) for null, null_spec in nulls().items() for method in null_spec["of"]
        if null in runs and method in runs
    ]  # fmt: skip
    return {"claims": claims, "nulls": ladder, "further": further}


def grouped_runs(records: Sequence[Record]) -> dict[Setting, Runs]:
    """The runs of all methods that the tables show or compare, by data set and protocol."""
    methods = [*table_methods({record.method for record in records}), *paper_tables.METHODS]
    return by_method(records, tuple(dict.fromkeys(methods)))


def _differences(
    runs: Runs, seeds: Mapping[str, Values]
) -> Iterator[tuple[str, list[list[tuple[Label, np.ndarray]]], Mapping[str, Values]]]:
    """(table, its differences, the values that they are made of) of one data set and protocol."""
    values = averaged(seeds)

    def of(methods: Iterable[str], columns: Sequence[Column], pairs: Pairing) -> Any:
        used = {method: values[method] for method in methods if method in values}
        groups = per_user_differences(used, columns, pairs)
        return groups, {method: seeds[method] for method in used}

    for kind, pairs in table_pairs(runs).items():
        methods = dict.fromkeys(method for pair in pairs for method in pair)
        for table, columns in COLUMNS.items():
            yield table + KINDS[kind], *of(methods, columns, pairing(pairs))
    for table, (pairs_of, columns) in paper_tables.TABLES.items():
        yield table, *of(paper_tables.METHODS, columns, pairs_of)


def compare(results: Path, data: Path = Path("dataset")) -> list[Comparison]:
    """All comparisons, by table, data set and protocol, column, pair.

    data: the folder of the data sets' atomic files. Without them fairness is not compared.
    """
    names = [table + ending for ending in KINDS.values() for table in COLUMNS]
    tables: dict[str, list[Comparison]] = {name: [] for name in (*names, *paper_tables.TABLES)}
    for setting, runs in sorted(grouped_runs(read_records(results)).items()):
        for table, groups, seeds in _differences(runs, per_seed_values(runs)):
            for group in groups:
                tables[table] += paired_tests(table, setting, group, seeds)
        for kind, pairs in table_pairs(runs).items():
            used = {method: runs[method] for pair in pairs for method in pair}
            table = "table_2" + KINDS[kind]
            tables[table] += _system_level(table, setting, used, pairs, data)
    return [row for rows in tables.values() for row in _adjusted(rows)]


def check_comparisons(
    comparisons: Sequence[Comparison],
    runs: Mapping[Setting, Runs],
    seeds: Mapping[Setting, Mapping[str, Values]],
    path: Path,
) -> None:
    """Raises InputError unless the comparisons, read from `path`, follow from the runs.

    Missing tests of coverage and fairness are accepted: they need the data set's files.
    """
    expected: dict[tuple[str, Setting, Label], float] = {}
    for setting, setting_runs in runs.items():
        for table, groups, _ in _differences(setting_runs, seeds[setting]):
            expected |= {
                (table, setting, label): float(difference.mean())
                for group in groups
                for label, difference in group
            }
    read_means = {}
    for c in comparisons:
        key = (c.table, c.setting, c.label)
        read_means[key] = c.difference
        if c.metric in system_level_tests.METRICS:
            own_runs = runs.get(c.setting, {})
            one, other = (
                mean_over_seeds(r.beyond_accuracy[c.metric] for r in own_runs.get(method, ()))
                for method in (c.method, c.baseline)
            )
            expected[key] = np.nan if one is None or other is None else one - other
    if read_means.keys() != expected.keys() or any(
        not abs(read_means[key] - mean) <= TOLERANCE for key, mean in expected.items()
    ):
        message = "the comparisons were not made from these users files"
        raise InputError(message, file=path, hint="run `llm4rec compare` again")


def _adjusted(rows: list[Comparison]) -> list[Comparison]:
    """The rows of one table with Holm's p, and "better" or "worse" where it is small."""
    adjusted = []
    for row, p in zip(rows, significance.holm(np.array([row.p_t for row in rows]))):
        row = replace(row, p_holm=float(p))
        if row.significant and row.difference:
            _, colon, one_seed = row.conclusion.partition(ONE_SEED)
            better = "better" if row.difference > 0 else "worse"
            row = replace(row, conclusion=f"{better}{colon}{one_seed}")
        adjusted.append(row)
    return adjusted


def _system_level(
    table: str, setting: Setting, runs: Runs, pairs: Sequence[tuple[str, str]], data: Path
) -> list[Comparison]:
    """The pairs' tests in coverage and fairness, which have no value per user."""
    rows = []
    for metric in system_level_tests.METRICS if pairs else ():
        sums = system_level_tests.user_sums(runs, metric, data)
        for method, baseline in pairs:
            if method not in sums or baseline not in sums:
                continue
            tested = system_level_tests.compare_methods(sums[method], sums[baseline])
            users = sums[method][0].per_user.shape[0]
            mean = float(np.mean([run.value for run in sums[baseline]]))
            error = (tested.high - tested.low) / 2 / significance.NORMAL_95
            words = conclude(tested.difference, error, np.inf, mean, users, p=1.0).describe(mean)
            numbers = asdict(tested) | {"d": float(np.clip(tested.d, -MAX_EFFECT, MAX_EFFECT))}
            rows.append(
                Comparison(table, *setting, "full", metric, method, baseline, **numbers,
                           p_holm=1.0, users=users, conclusion=words)
            )  # fmt: skip
    return rows


# Any two methods that have run records and users files: `llm4rec pair`.


PAIR_COLUMNS = [(ranking, metric) for ranking in RANKINGS for metric in METRICS]
PAIR_COLUMNS += [("full", metric) for metric in BEYOND_ACCURACY]
PAIR_HEADERS = ("difference", "95 % interval", "p, t test", "p, random signs", "conclusion")


def render_pair(results: Path, method: str, baseline: str) -> Iterator[str]:
    """For each data set and protocol that both methods have run on: a heading, then a table.

    Raises InputError when there is none, and for bad files.
    """
    from tabulate import tabulate

    records = read_records(results)
    grouped = by_method(records, (method, baseline))
    settings = {setting: runs for setting, runs in grouped.items() if {method, baseline} <= {*runs}}
    if not settings or method == baseline:
        recorded = sorted({record.method for record in records})
        raise InputError(
            f"{method} and {baseline} have not both run on one data set",
            file=results / "runs",
            hint=f"two of {', '.join(recorded)}" if recorded else "run something",
        )
    for (dataset, protocol), runs in settings.items():
        seeds = per_seed_values(runs)
        values = averaged(seeds)
        users = len(next(iter(values[method].values())))
        counts = " and ".join(f"{len(differences)} of {name}" for name, differences in runs.items())
        yield f"{dataset}, {protocol}: {users} users; runs: {counts}"
        rows = [
            _pair_row(test, differences, seeds)
            for group in per_user_differences(values, PAIR_COLUMNS, pairing([(method, baseline)]))
            for test, (_, differences) in zip(
                paired_tests("pair", (dataset, protocol), group, seeds), group
            )
        ]
        headers = ("ranking", "metric", method, baseline, *PAIR_HEADERS)
        yield tabulate(rows, headers=headers, disable_numparse=True)


def _pair_row(test: Comparison, differences: np.ndarray, seeds: dict[str, Values]) -> list[str]:
    """Ranking, metric, both means over the users for whom both methods have a value, and a text for
    each of PAIR_HEADERS; only claims of Table I get a conclusion."""
    pair = (test.method, test.baseline)
    values = np.stack([seeds[m][test.ranking, test.metric].mean(axis=0) for m in pair])  # (2, U)
    means = values[:, ~np.isnan(values).any(axis=0)].mean(axis=1)
    concluded = test.ranking == "full" and test.metric in METRICS
    return [
        test.ranking,
        METRIC_NAMES[test.metric],
        *(f"{mean:.4f}" for mean in means),
        f"{test.difference:+.4f}",
        f"{test.low:+.4f} to {test.high:+.4f}",
        *(f"{p:.2g}" for p in (test.p_t, test.p_randomization)),
        conclusion(test, differences, seeds, test.p_t) if concluded else "",
    ]
