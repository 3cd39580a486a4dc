"""How many users a claim needs, from the spread of differences between users in a pilot run.

A paired t test at level α finds a true mean difference δ with probability 1 - β when

    U ≥ ((z_{1 - α/2} + z_{1 - β}) s / δ)²,   δ = gain · mean of the baseline

s is the standard deviation over users of the difference between two methods. A pilot is a pair of
committed runs: EnhancedGenRec and the baseline or reference with the best validation NDCG@10. For
Table IV it is also our own pair of configurations, where both have run. Among m claims of one
family, Holm's first step tests at α / m; `tests` is that m. Seeds add to the variance: see
`detectable`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm4rec_recbole.analysis import significance
from llm4rec_recbole.analysis.compare import best_on_validation
from llm4rec_recbole.analysis.paper import paper_tables
from llm4rec_recbole.analysis.paper.claims import ABLATED, ACCURACY, IMPROVE, OURS, Tables, Test
from llm4rec_recbole.analysis.paper.paper_tables import (
    DATASET_NAMES,
    PAPER_BASELINES,
    REFERENCES,
    gain,
    per_cent,
)
from llm4rec_recbole.analysis.significance import LEVEL, POWER
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.metrics import ACCURACY as METRICS
from llm4rec_recbole.evaluation.record_reader import Record, Runs, Setting, by_method, read_records
from llm4rec_recbole.evaluation.users_file import averaged, per_seed_values

#: How many users the paper's data sets have, where that is public.
PAPER_USERS = {"ml-25m": 162_541}


@dataclass(frozen=True, eq=False)
class Pilot:
    """A pair of methods on one data set; each mapping is by metric, full ranking."""

    dataset: str
    protocol: str
    method: str
    baseline: str
    users: int
    mean: dict[str, float]  # of the baseline
    spread: dict[str, float]  # over users, of the difference
    error: dict[str, tuple[float, float]]  # of the mean difference, seeds included, and its df

    @property
    def name(self) -> str:
        """The pilot in a table's heading."""
        return f"{self.dataset} ({self.method} - {self.baseline})"

    @property
    def general(self) -> bool:
        """Whether it is of ours against a baseline, not of a step of the ablation."""
        return self.baseline in {*PAPER_BASELINES, *REFERENCES}

    def users_needed(self, metric: str, percent: float, tests: int = 1) -> int:
        """Users for a gain of `percent` of the baseline's mean, by this pilot's spread."""
        return users_needed(self.spread[metric], self.mean[metric] * percent / 100, tests)

    def detectable(self, metric: str, tests: int = 1) -> float:
        """The smallest gain, in per cent, that the pilot's own users and seeds show."""
        from scipy import stats

        error, df = self.error[metric]
        quantiles = stats.t.ppf([1 - LEVEL / 2 / tests, POWER], df)
        return 100 * float(quantiles.sum()) * error / self.mean[metric]


@dataclass(frozen=True)
class ClaimedGain:
    """A gain that the paper prints or implies, and the family of claims that it belongs to."""

    table: str
    name: str
    metric: str
    percent: float
    dataset: str  # the paper's
    family: int  # how many gains are claimed together
    pair: tuple[str, str] | None = None  # our methods, for a step of Table IV


def users_needed(spread: float, difference: float, tests: int = 1) -> int:
    """Users that a paired test at LEVEL / tests needs to find `difference` with POWER.

    spread: standard deviation over users. Raises ValueError for a difference of 0.
    """
    from scipy import stats

    if not difference:
        raise ValueError("no number of users shows a difference of 0")
    z = stats.norm.ppf(1 - LEVEL / 2 / tests) + stats.norm.ppf(POWER)
    return math.ceil((float(z) * spread / difference) ** 2)


def parse_claim(text: str) -> tuple[float, str]:
    """The per cent and the metric of a claim such as "+0.7% hit@10". Raises InputError."""
    match = re.fullmatch(r"\s*([+-]?\d{1,6}(?:\.\d{1,6})?)\s*%\s*(?:in\s+)?(\S+)\s*", text)
    if match is None or match[2].lower() not in METRICS or not float(match[1]):
        hint = f'such as "+0.7% hit@10"; metrics: {", ".join(METRICS)}'
        raise InputError(f"cannot read the claim {text!r}", hint=hint)
    return float(match[1]), match[2].lower()


def paper_gains(paper: Tables) -> list[ClaimedGain]:
    """The gains of Table I over the best baseline and the 20 steps of Table IV."""
    table = paper["table_1"]
    columns = [column for row, column in table if row == IMPROVE]
    gains = []
    for column in columns:
        dataset, metric = column.split("/")
        percent = float(per_cent(table[IMPROVE, column]))
        if percent > 0:
            gains.append(
                ClaimedGain(
                    "Table I",
                    f"{DATASET_NAMES[dataset]}: {OURS}",
                    metric,
                    percent,
                    dataset,
                    len(columns),
                )
            )
    steps = [row for row in paper_tables.STEPS if row != "Full Framework"]
    rows = list(paper_tables.TABLE_4)
    for row in steps:
        before = rows[rows.index(row) - 1]
        for metric in ACCURACY:
            change = gain(paper["table_4"][row, metric], paper["table_4"][before, metric])
            gains.append(
                ClaimedGain("Table IV", row, metric, float(change.percent), ABLATED,
                     len(steps) * len(ACCURACY), paper_tables.STEPS[row])
            )  # fmt: skip
    return gains


def read_pilots(folders: Sequence[Path]) -> list[Pilot]:
    """The pilots of every data set and protocol whose users files are in `folders`.

    A data set that stands in two folders counts once, the first one. Raises InputError for bad
    files.
    """
    pilots: list[Pilot] = []
    for folder in folders:
        settings = {(pilot.dataset, pilot.protocol) for pilot in pilots}
        new_pilots = pilots_of(read_records(folder))
        pilots += [pilot for pilot in new_pilots if (pilot.dataset, pilot.protocol) not in settings]
    return pilots


def pilots_of(records: Sequence[Record]) -> list[Pilot]:
    """The pilots among `records`; those without a users file are left out."""
    with_users = [record for record in records if record.users_path.is_file()]
    methods = tuple(dict.fromkeys(record.method for record in with_users))
    return [
        pilot
        for setting, runs in by_method(with_users, methods).items()
        for pilot in _pilots(setting, runs)
    ]


def _pilots(setting: Setting, runs: Runs) -> Iterator[Pilot]:
    best = best_on_validation(runs, [*PAPER_BASELINES, *REFERENCES])
    ours = paper_tables.OURS
    pairs = [(ours, best)] if ours in runs and best is not None else []
    pairs += [pair for pair in paper_tables.STEPS.values() if {*pair} <= runs.keys()]
    if not pairs:
        return
    compared = {method for pair in pairs for method in pair}
    seeds = per_seed_values({method: runs[method] for method in runs if method in compared})
    values = averaged(seeds)
    for pair in dict.fromkeys(pairs):
        mean, spread, error = {}, {}, {}
        for metric in METRICS:
            one, other = (values[method]["full", metric] for method in pair)
            several = [seeds[m]["full", metric] for m in pair if len(seeds[m]["full", metric]) > 1]
            mean[metric] = float(other.mean())
            spread[metric] = float((one - other).std(ddof=1))
            error[metric] = significance.users_and_seeds(one - other, several)
        yield Pilot(*setting, *pair, len(one), mean, spread, error)


def needed(gain: ClaimedGain, pilots: Sequence[Pilot], holm: bool = False) -> list[int | None]:
    """The users that `gain` needs, by each pilot; None where the pilot is of another pair."""
    tests = gain.family if holm else 1
    return [
        pilot.users_needed(gain.metric, gain.percent, tests)
        if (pilot.method, pilot.baseline) == gain.pair or pilot.general
        else None
        for pilot in pilots
    ]


def users_for(gains: Mapping[str, str], test: Test | None, pilots: Sequence[Pilot]) -> int | None:
    """The users that a claim of printed `gains` (metric → per cent) needs, by the best pilot.

    test: our pair of methods, for Tables IV and V. Where it claims several metrics, the one that
    needs the most users decides. None without a pilot or a gain above 0.
    """
    pair = None if test is None else (test.method, test.baseline)
    needs = []
    for metric, printed in gains.items():
        percent = float(per_cent(printed))
        usable = [p for p in pilots if (p.method, p.baseline) == pair or p.general]
        users = [
            p.users_needed(metric, percent) for p in usable
            if percent and p.mean.get(metric) and p.spread[metric]
        ]  # fmt: skip
        if users:
            needs.append(min(users))
    return max(needs, default=None)


def steps_needed(gains: Sequence[ClaimedGain], pilots: Sequence[Pilot]) -> list[int]:
    """The users that each step of Table IV needs, by the pilot that needs the fewest."""
    fewest = []
    for step in gains:
        users = [n for n in needed(step, pilots) if n is not None]
        if step.table == "Table IV" and users:
            fewest.append(min(users))
    return fewest


def resolution_of_table_4(gains: Sequence[ClaimedGain], pilots: Sequence[Pilot]) -> str:
    """In words: whether the paper's ablation can be resolved on the paper's own data."""
    users = steps_needed(gains, pilots)
    if not users:
        return "No committed run can serve as a pilot for Table IV."
    has = PAPER_USERS[ABLATED]
    beyond = sum(n > has for n in users)
    return (
        f"{beyond} of the {len(users)} steps of Table IV cannot be resolved on "
        f"{DATASET_NAMES[ABLATED]}, which has {has:,} users. The steps need {min(users):,} to "
        f"{max(users):,} users, by the pilot that needs the fewest for each."
    )
