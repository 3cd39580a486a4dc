"""Paired tests of two methods over the same users: a row of results/comparisons.csv each."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from llm4rec_recbole.analysis import significance
from llm4rec_recbole.analysis.paper import paper_tables
from llm4rec_recbole.analysis.paper.paper_tables import DETERMINISTIC, OURS, Pairing
from llm4rec_recbole.analysis.significance import LEVEL, conclude
from llm4rec_recbole.errors import InputError, shorten
from llm4rec_recbole.evaluation.record_reader import Setting
from llm4rec_recbole.evaluation.users_file import Values
from llm4rec_recbole.files import write_atomically

FILE = "comparisons.csv"
_HINT = "run `llm4rec compare`"
MAX_EFFECT = 1e6  # |d| is infinite where all users differ by the same amount; a CSV needs a number
ONE_SEED = "; one seed of "  # before the methods' names in a conclusion

Label = tuple[str, str, str, str]  # ranking, metric, method, baseline


@dataclass(frozen=True)
class Comparison:
    """One pair of methods in one metric; a row of comparisons.csv. Numbers are finite."""

    __pydantic_config__ = ConfigDict(allow_inf_nan=False)

    table: str
    dataset: str
    protocol: str
    ranking: str
    metric: str
    method: str
    baseline: str
    difference: float  # mean over users of method - baseline
    low: float  # 95 % interval of the difference: bootstrap, or t where seeds are random
    high: float
    d: float  # Cohen's d, paired: t / √U
    p_t: float  # of the paired t test, or of the z test of system_level_tests.py
    p_randomization: float
    p_holm: float  # p_t, adjusted over the whole table
    users: int
    smallest_detectable: float  # with 80 % power at the 5 % level, before Holm
    conclusion: str = ""

    @property
    def setting(self) -> Setting:
        """Data set and protocol."""
        return self.dataset, self.protocol

    @property
    def label(self) -> Label:
        """What is compared."""
        return self.ranking, self.metric, self.method, self.baseline

    @property
    def significant(self) -> bool:
        """Whether Holm's p is below the level."""
        return self.p_holm < LEVEL

    @property
    def other(self) -> str:
        """The method that EnhancedGenRec is compared with; of other comparisons, the method."""
        return self.baseline if self.method == OURS else self.method


def write_comparisons(path: Path, comparisons: list[Comparison]) -> None:
    """Write one row for each comparison, with a header, atomically."""
    text = io.StringIO()
    names = [field.name for field in fields(Comparison)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(asdict, comparisons))
    write_atomically(path, text.getvalue())


def read_comparisons(path: Path) -> list[Comparison]:
    """Read what `write_comparisons` wrote. Raises InputError, with the line, for a bad row."""
    row_type, line = TypeAdapter(Comparison), None
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")), strict=True)
        comparisons = []
        for row in reader:
            line = reader.line_num
            comparisons.append(row_type.validate_python(row))
        return comparisons
    except FileNotFoundError as error:
        raise InputError("there are no comparisons", file=path, hint=_HINT) from error
    except (ValueError, csv.Error) as error:
        message = "not a comparison"
        if isinstance(error, ValidationError):
            problem = error.errors(include_url=False)[0]
            message += f": {problem['loc'][0]} is {shorten(problem['input'])}"
        raise InputError(message, file=path, line=line, hint=_HINT) from error


def per_user_differences(
    values: dict[str, Values], columns: Sequence[tuple[str, str]], pairs: Pairing
) -> list[list[tuple[Label, np.ndarray]]]:
    """Differences (U,) of all `pairs` in all `columns`, grouped by the users they cover.

    A user without a value for one method is left out of that column for all methods. A column is
    not compared where one method has no values at all.
    """
    groups: dict[bytes, list[tuple[Label, np.ndarray]]] = {}
    for ranking, metric in columns if values else ():
        column = {method: scores[ranking, metric] for method, scores in values.items()}
        defined = ~np.isnan([*column.values()]).any(axis=0)  # (U,)
        if defined.any():
            compared = pairs({method: scores[defined] for method, scores in column.items()})
            groups.setdefault(defined.tobytes(), []).extend(
                ((ranking, metric, method, baseline), difference)
                for method, baseline, difference in compared
            )
    return [group for group in groups.values() if group]


def paired_tests(
    table: str,
    setting: Setting,
    labelled_differences: list[tuple[Label, np.ndarray]],
    seeds: Mapping[str, Values],
) -> list[Comparison]:
    """The tests of differences (U,) of the same users, without Holm's adjustment (p_holm is 1).

    seeds: the values (S, U) of all methods that were compared. Raises InputError for one user.
    """
    stacked = np.stack([difference for _, difference in labelled_differences], axis=1)  # (U, C)
    if len(stacked) < 2:
        raise InputError(f"{setting[0]} {setting[1]} has one test user: a test needs two")
    statistics = np.stack(
        [
            stacked.mean(axis=0),
            *significance.bootstrap_interval(stacked),
            np.clip(significance.effect_size(stacked), -MAX_EFFECT, MAX_EFFECT),
            significance.paired_t(stacked),
            significance.randomization(stacked),
            np.ones(stacked.shape[1]),
        ]
    )  # (7, C)
    detectable = significance.smallest_detectable(stacked)
    tests = []
    for n, (label, difference) in enumerate(labelled_differences):
        columns: list[Any] = [*statistics[:, n].tolist(), len(stacked), float(detectable[n])]
        test = Comparison(table, *setting, *label, *columns)
        counts = {method: len(scores[label[:2]]) for method, scores in seeds.items()}
        words = conclusion(test, difference, seeds) + one_seed(test, counts)
        test = _with_random_seeds(test, difference, random_runs(test, seeds))
        tests.append(replace(test, conclusion=words))
    return tests


def conclusion(
    test: Comparison,
    differences: np.ndarray,
    seeds: Mapping[str, Values],
    p: float = 1.0,
) -> str:
    """The conclusion in words: better or worse where `p` is below the level, else equivalent or
    undecided.

    differences: (U,), of `test`; seeds: the values (S, U) of all methods that were compared. The
    margin is relative to the baseline's mean (of the synergy of Table V: to the backbone's).
    """
    base = paper_tables.BACKBONE if test.baseline == paper_tables.SUM else test.baseline
    if base not in seeds:
        return ""
    runs = random_runs(test, seeds)
    error, df = significance.users_and_seeds(differences, runs)
    mean = float(np.nanmean(seeds[base][test.ranking, test.metric]))
    seed_variance = sum(float(run.mean(axis=1).var(ddof=1)) for run in runs) if runs else None
    return conclude(
        test.difference, error, df, mean, test.users, p, seed_variance=seed_variance
    ).describe(mean)


def _weights(test: Comparison) -> dict[str, float]:
    """The methods that `test` compares, and how often each of them counts."""
    if test.baseline != paper_tables.SUM:
        return {test.method: 1.0, test.baseline: 1.0}
    whole = paper_tables.ALL_FIVE
    parts = [method for method in paper_tables.TABLE_5.values() if method != whole]
    return dict.fromkeys([test.method, *parts], 1.0) | {paper_tables.BACKBONE: len(parts) - 1.0}


def one_seed(test: Comparison, seeds: Mapping[str, int]) -> str:
    """The random methods of `test` with one of `seeds`, for the end of a conclusion."""
    methods = [m for m in _weights(test) if seeds.get(m) == 1 and m not in DETERMINISTIC]
    return f"{ONE_SEED}{', '.join(methods)}" if methods else ""


def random_runs(test: Comparison, seeds: Mapping[str, Values]) -> list[np.ndarray]:
    """The values (S, U) of each method with several seeds that `test` compares, as it weights them.

    seeds: the values of all methods that were compared together. Users without a value for one of
    them are left out, as in `per_user_differences`.
    """
    column, weights = (test.ranking, test.metric), _weights(test)
    if not all(method in seeds for method in weights):
        return []
    defined = ~np.isnan([scores[column].mean(axis=0) for scores in seeds.values()]).any(axis=0)
    return [
        weight * seeds[method][column][:, defined]
        for method, weight in weights.items()
        if len(seeds[method][column]) > 1
    ]


def _with_random_seeds(
    test: Comparison, differences: np.ndarray, runs: Sequence[np.ndarray]
) -> Comparison:
    """`test` with seeds as random as users; unchanged where no method has several."""
    from scipy import stats

    error, df = significance.users_and_seeds(differences, runs)
    if not runs or not error:
        return test
    half, detects = stats.t.ppf([0.975, 0.8], df)
    return replace(
        test,
        low=test.difference - float(half) * error,
        high=test.difference + float(half) * error,
        p_t=float(2 * stats.t.sf(abs(test.difference) / error, df)),
        smallest_detectable=float(half + detects) * error,
    )
