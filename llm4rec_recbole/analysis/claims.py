"""The claims ledger: what the paper says, its own arithmetic, our measurement, and a verdict.

verdicts.py has the rules. A measurement is the comparison with the closest of the paper's five
baselines, so that all five are covered. (Tables IV and V: the row and what it is compared with.)

A second verdict compares EnhancedGenRec with the best reference or null, by the same rules without
a printed gain: the paper does not claim it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole.analysis import power, significance
from llm4rec_recbole.analysis.paired_tests import ONE_SEED, Comparison, one_seed
from llm4rec_recbole.analysis.paper import paper_tables
from llm4rec_recbole.analysis.paper.claims import Claim, Tables, Test, paper_claims
from llm4rec_recbole.analysis.paper.paper_tables import OURS, PAPER_BASELINES, REFERENCES
from llm4rec_recbole.analysis.verdicts import Measured, Verdict, verdict, worst_verdict
from llm4rec_recbole.evaluation.record_reader import (
    RANKINGS,
    Failure,
    Record,
    Runs,
    Setting,
    mean_over_seeds,
)
from llm4rec_recbole.evaluation.users_file import averaged, per_seed_values
from llm4rec_recbole.registry import nulls


@dataclass(frozen=True)
class LedgerEntry:
    """One line of the ledger."""

    claim: Claim
    measured: list[Measured]
    verdict: Verdict
    reason: str
    null_verdict: Verdict | None = None  # against references and nulls; None without a comparison


def read_printed(folder: Path) -> Tables:
    """The paper's five tables. Raises InputError when one is absent or damaged."""
    return {
        f"table_{n}": paper_tables.read_printed_table(folder / f"table_{n}.csv")
        for n in range(1, 6)
    }


def ledger(
    paper: Tables,
    records: Sequence[Record],
    comparisons: Sequence[Comparison],
    failures: Sequence[Failure] = (),
) -> list[LedgerEntry]:
    """A line for each claim, in the order of the paper."""
    methods = {OURS, *PAPER_BASELINES, *REFERENCES, *paper_tables.METHODS, *nulls()}
    settings: dict[Setting, Runs] = {}
    for record in records:
        if record.dataset in paper_tables.STANDS_FOR and record.method in methods:
            runs = settings.setdefault(record.setting, {})
            runs.setdefault(record.method, []).append(record)
    failed = {setting: {f.method for f in failures if f.setting == setting}
              for setting in settings}  # fmt: skip
    missing = {
        setting: _missing_baselines(runs.keys(), failed[setting])
        for setting, runs in settings.items()
    }
    pilots = power.pilots_of(records)
    entries = []
    for claim in paper_claims(paper):
        measured = [*_measurements(claim, settings, comparisons, missing)]
        absent = "" if measured else _why_not_measured(claim, {f.method for f in failures})
        needs = power.users_for(claim.gains, claim.test, pilots)
        nulls_measured = [m.null for m in measured if m.null is not None]
        null_verdict = None
        if nulls_measured:
            null_verdict, _ = worst_verdict(replace(claim, gains={}), nulls_measured)
        against_baselines = verdict(claim, measured, absent, needs)
        entries.append(LedgerEntry(claim, measured, *against_baselines, null_verdict))
    return entries


def _missing_baselines(ran: Set[str], failed: set[str]) -> str:
    """Which of the paper's baselines have no run, and why; "" where all have one."""
    absent = {
        "failed": [m for m in PAPER_BASELINES if m not in ran and m in failed],
        "did not run": [m for m in PAPER_BASELINES if m not in ran and m not in failed],
    }
    return "; ".join(f"{', '.join(names)} {what}" for what, names in absent.items() if names)


def _why_not_measured(claim: Claim, failed: set[str]) -> str:
    """Why there is no measurement of `claim`."""
    needed = (OURS,) if claim.test is None else (claim.test.method, claim.test.baseline)
    if broken := [method for method in needed if method in failed]:
        return f"{' and '.join(broken)} failed"
    if claim.test is not None:
        return f"no runs of {claim.test.method} and {claim.test.baseline}"
    return f"no run of {OURS} and a baseline to compare it with"


def _measurements(
    claim: Claim,
    settings: dict[Setting, Runs],
    comparisons: Sequence[Comparison],
    missing: dict[Setting, str],
) -> Iterator[Measured]:
    """Our measurements of `claim`: of each metric in each setting with a run of EnhancedGenRec."""
    if claim.test is not None:
        yield from _ablation_measurements(claim, claim.test, settings, comparisons)
    if claim.cost:
        yield from _cost_measurements(settings)
    for setting, runs in sorted(settings.items()):
        stands_for = paper_tables.STANDS_FOR[setting[0]]
        if OURS not in runs or claim.dataset not in ("", stands_for):
            continue
        for metric in claim.metrics:
            where = ", ".join(setting) + (f", {metric}" if len(claim.metrics) > 1 else "")
            if claim.level:
                yield Measured(where, metric, _level_text(runs[OURS], metric))
                continue
            tests = _comparisons_of_ours(comparisons, setting, metric)
            baseline_tests = [test for test in tests if test.baseline in PAPER_BASELINES]
            if baseline_tests:
                closest = min(baseline_tests, key=lambda test: test.difference)
                measurement = _measured_by_test(where, closest, runs)
            elif (untested := _measured_without_test(where, runs, metric)) is not None:
                measurement = untested
            else:
                continue
            lacking = f" ({missing[setting]})" if missing[setting] else ""
            null_test = next((test for test in tests if test.baseline not in PAPER_BASELINES), None)
            yield replace(
                measurement,
                text=measurement.text + lacking,
                missing=missing[setting],
                null=None if null_test is None else _measured_by_test(where, null_test, runs),
            )


def _comparisons_of_ours(
    comparisons: Sequence[Comparison], setting: Setting, metric: str
) -> list[Comparison]:
    """The full-ranking comparisons of EnhancedGenRec in Tables I and II."""
    wanted = (*setting, "full", metric, OURS)
    return [
        c
        for c in comparisons
        if (*c.setting, *c.label[:3]) == wanted and c.table in ("table_1", "table_2")
    ]


def _ablation_measurements(
    claim: Claim, test: Test, settings: dict[Setting, Runs], comparisons: Sequence[Comparison]
) -> Iterator[Measured]:
    """The comparisons of `test`; gains of Table V in per cent of the backbone, as the paper's."""
    for c in comparisons:
        if (
            (c.table, c.method, c.baseline) == (test.table, test.method, test.baseline)
            and c.metric in test.metrics
            and paper_tables.STANDS_FOR.get(c.dataset) == claim.dataset
        ):
            runs = settings[c.setting]
            base = c.baseline if test.table == "table_4" else paper_tables.BACKBONE
            yield _measured_by_test(f"{c.dataset}, {c.protocol}, {c.metric}", c, runs, base)


def _cost_measurements(settings: dict[Setting, Runs]) -> Iterator[Measured]:
    """How many of the paper's baselines are faster, and smaller in memory, than EnhancedGenRec."""
    for (dataset, protocol), runs in sorted(settings.items()):
        others = [method for method in PAPER_BASELINES if method in runs]
        if OURS not in runs or not others:
            continue
        parts = []
        for key, word in (("inference_ms_per_user", "slower"), ("peak_memory_gb", "larger")):
            costs = {m: [r.cost[key] for r in runs[m]] for m in (OURS, *others)}
            if any(None in values for values in costs.values()):
                continue
            means = {m: np.mean(np.array(values, dtype=float)) for m, values in costs.items()}
            fewer = sum(means[OURS] > means[m] for m in others)
            parts.append(f"{word} than {fewer} of {len(others)} baselines ({means[OURS]:.3g})")
        if parts:
            text = ", ".join(parts) + " in ms a user and GiB"
            yield Measured(f"{dataset}, {protocol}", "", text)


def _level_text(records: list[Record], metric: str) -> str:
    """The mean of each ranking with its 95 % bootstrap interval over users."""
    values = averaged(per_seed_values({OURS: records}))[OURS]
    columns = np.stack([values[ranking, metric] for ranking in RANKINGS], axis=1)  # (U, 3)
    low, high = significance.bootstrap_interval(columns)
    levels = zip(RANKINGS, columns.mean(axis=0), low, high)
    return ", ".join(f"{name} {mean:.3f} [{a:.3f}, {b:.3f}]" for name, mean, a, b in levels)


def _measured_by_test(where: str, test: Comparison, runs: Runs, base: str = "") -> Measured:
    """A comparison in per cent of the mean of `base`, by default of its baseline."""
    base = base or test.baseline
    mean = _seed_mean(runs[base], test.metric) if base in runs else None
    one_seed_note = one_seed(test, {method: len(records) for method, records in runs.items()})
    shared: dict[str, Any] = {
        "p_holm": test.p_holm,
        "one_seed": one_seed_note.removeprefix(ONE_SEED),
        "users": test.users,
    }
    if not mean:
        text = f"{test.difference:+.4f} over {test.baseline}, whose mean is 0"
        gain = np.sign(test.difference) * np.inf
        return Measured(where, test.metric, text, gain, -np.inf, np.inf, detectable=np.inf,
                        **shared)  # fmt: skip
    gain, low, high, least = (
        100 * x / mean for x in (test.difference, test.low, test.high, test.smallest_detectable)
    )
    text = f"{gain:+.1f} % [{low:+.1f}, {high:+.1f}] over {test.baseline}, p {test.p_holm:.2g}"
    words = test.conclusion.partition(ONE_SEED)[0]
    text += f", {words}" if words else ""
    return Measured(where, test.metric, text, gain, low, high, detectable=least, **shared)


def _measured_without_test(where: str, runs: Runs, metric: str) -> Measured | None:
    """The gain in a number without a test; None where either side lacks the number."""
    means = {m: _seed_mean(runs[m], metric) for m in (OURS, *PAPER_BASELINES) if m in runs}
    others = {m: mean for m, mean in means.items() if mean is not None and m != OURS}
    ours = means[OURS]
    if ours is None or not others:
        return None
    best = max(others, key=others.__getitem__)
    if not others[best]:
        return None
    gain = 100 * (ours / others[best] - 1)
    return Measured(where, metric, f"{gain:+.1f} % over {best}, no interval", gain)


def _seed_mean(records: Sequence[Record], metric: str) -> float | None:
    """Mean over the seeds of a full-ranking metric or of one beyond accuracy."""
    if ("full", metric) in records[0].accuracy:
        return mean_over_seeds(record.accuracy["full", metric] for record in records)
    return mean_over_seeds(record.beyond_accuracy.get(metric) for record in records)
