"""The verdict on a claim of the paper, by rules: the first of these that applies.

    contradicted by the paper itself   its own printed numbers give something else
    supported                          it is about the printed numbers only, and they agree
    not testable here                  no run could test it, or none that could has been made
    not supported                      what `judge` says of any measurement
    not testable here                  what `judge` says of any measurement
    supported                          what `judge` says of all

A measurement is of one metric on one data set and protocol. `judge` asks whether Ours is above the
best baseline there (Tables IV and V: the row above what it is compared with):

    not supported       no, by a number without an interval
    not testable here   yes, by a number without an interval
    not supported       the interval of the gain lies below the printed one
    not supported       it is below, by more than chance (Holm's p)
    supported           it is above, by more than chance
    not testable here   the same, but a baseline that might be the best one failed or never ran
    not testable here   it may be chance, and so many users cannot show a gain as small as printed
    not supported       it may be chance

Of two measurements with the same users, the one with the larger gain never has the worse verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from llm4rec_recbole.analysis import significance
from llm4rec_recbole.analysis.compare import LEVEL, Comparison, best_baseline
from llm4rec_recbole.analysis.paper import paper_methods, paper_numbers
from llm4rec_recbole.analysis.paper.claims import Claim, Tables, Test, paper_claims
from llm4rec_recbole.analysis.paper.paper_methods import OURS, paper_rows, table_methods
from llm4rec_recbole.analysis.paper.paper_numbers import per_cent
from llm4rec_recbole.evaluation.per_user import per_user_values
from llm4rec_recbole.evaluation.records import RANKINGS, Failure, Record

Verdict = Literal[
    "supported", "not supported", "contradicted by the paper itself", "not testable here"
]


@dataclass(frozen=True)
class Measured:
    """Ours on one data set and protocol; gains in per cent of the best baseline's mean."""

    where: str
    metric: str
    text: str
    gain: float | None = None
    low: float | None = None  # of the gain's 95 % interval; None where there is no interval
    high: float | None = None
    p_holm: float | None = None
    detectable: float | None = None  # the least gain that this many users show, with 80 % power
    missing: str = ""  # which baselines failed or never ran, and might be the best


def verdict(claim: Claim, measured: Sequence[Measured], absent: str = "") -> tuple[Verdict, str]:
    """The verdict and the reason; `absent` says why nothing was measured, where nothing was."""
    if claim.holds is False:
        by_rounding = "may be" if claim.rounding else "is not"
        return "contradicted by the paper itself", f"rounding {by_rounding} the reason"
    if claim.internal:
        return "supported", "by the paper's own numbers"
    if claim.needs:
        return "not testable here", claim.needs
    if not measured:
        return "not testable here", absent
    judged = [(m, *judge_measurement(claim, m)) for m in measured]
    for worst in ("not supported", "not testable here"):
        for m, its_verdict, reason in judged:
            if its_verdict == worst:
                return its_verdict, f"{m.where}: {reason}"
    less = ", and not by less than is printed" if claim.gains else ""
    return "supported", f"above {_other(claim)}{less}"


def judge_measurement(claim: Claim, m: Measured) -> tuple[Verdict, str]:
    """What one measurement says of `claim`, and why."""
    other, printed = _other(claim), claim.gains.get(m.metric)
    above = m.gain is not None and m.gain > 0
    if m.p_holm is None or m.high is None or m.detectable is None:
        if not above:
            return "not supported", f"not above {other}"
        return "not testable here", "one number a run, without an interval, shows no difference"
    if printed and m.high < float(per_cent(printed)):
        less = f"above {other}, but by less than {printed}"
        return "not supported", less if above else f"not above {other}"
    if m.p_holm < LEVEL:
        if not above:
            return "not supported", f"not above {other}"
        if m.missing:
            return "not testable here", f"{m.missing}, and might be the best baseline"
        return "supported", ""
    if printed and float(per_cent(printed)) < m.detectable:
        few = f"so many users show gains from {m.detectable:.0f} % on, and {printed} is printed"
        return "not testable here", few
    chance = f"the difference may be chance, p {m.p_holm:.2g}"
    return "not supported", chance if above else f"not above {other}"


def _other(claim: Claim) -> str:
    return "the best baseline" if claim.test is None else claim.test.baseline


# The claims ledger: what the paper says, its own arithmetic, our measurement, and a verdict.
#
# What the paper says is in claim_list.py, the rules of the verdicts in verdicts.py.


@dataclass(frozen=True)
class Entry:
    """One line of the ledger."""

    claim: Claim
    measured: list[Measured]
    verdict: Verdict
    reason: str


def read_printed(folder: Path) -> Tables:
    """The paper's five tables. Raises InputError when one is absent or damaged."""
    return {f"table_{n}": paper_numbers.read(folder / f"table_{n}.csv") for n in range(1, 6)}


Places = dict[tuple[str, str], dict[str, list[Record]]]  # (data set, protocol) -> method -> runs


def ledger(
    paper: Tables,
    records: Sequence[Record],
    comparisons: Sequence[Comparison],
    failures: Sequence[Failure] = (),
    recbole_row: str = "BPR",
) -> list[Entry]:
    """A line for each claim, in the order of the paper."""
    baselines = [method for method in table_methods(recbole_row) if method != OURS]
    methods = {OURS, *baselines, *paper_methods.METHODS}
    places: Places = {}
    for record in records:
        if record.dataset in paper_numbers.STANDS_FOR and record.method in methods:
            place = places.setdefault((record.dataset, record.protocol), {})
            place.setdefault(record.method, []).append(record)
    failed = {place: {f.method for f in failures if (f.dataset, f.protocol) == place}
              for place in places}  # fmt: skip
    missing = {
        place: _missing(runs.keys(), failed[place], baselines, recbole_row)
        for place, runs in places.items()
    }
    entries = []
    for claim in paper_claims(paper):
        measured = [*_measure(claim, places, comparisons, missing)]
        absent = "" if measured else _absent(claim, {f.method for f in failures})
        entries.append(Entry(claim, measured, *verdict(claim, measured, absent)))
    return entries


def _missing(ran: Set[str], failed: set[str], baselines: Sequence[str], recbole_row: str) -> str:
    """The baselines that might be the best one, had they a run: those that failed, and those of
    the paper that never ran; "" where none lacks."""
    of_paper = paper_rows(recbole_row).values()
    absent = [m for m in baselines if m not in ran]
    without = [m for m in absent if m in of_paper and m not in failed]
    parts = []
    if failing := [m for m in absent if m in failed]:
        parts.append(f"{', '.join(failing)} failed")
    if without:
        parts.append(f"{', '.join(without)} did not run")
    return "; ".join(parts)


def _absent(claim: Claim, failed: set[str]) -> str:
    """Why there is no measurement of `claim`."""
    needed = (OURS,) if claim.test is None else (claim.test.method, claim.test.baseline)
    if broken := [method for method in needed if method in failed]:
        return f"{' and '.join(broken)} failed"
    if claim.test is not None:
        return f"no runs of {claim.test.method} and {claim.test.baseline}"
    return f"no run of {OURS} and a baseline to compare it with"


def _measure(
    claim: Claim,
    places: Places,
    comparisons: Sequence[Comparison],
    missing: dict[tuple[str, str], str],
) -> Iterator[Measured]:
    """Our measurements of `claim`: of each metric on each data set and protocol with Ours."""
    if claim.test is not None:
        yield from _ablated(claim, claim.test, places, comparisons)
    if claim.cost:
        yield from _costs(places)
    for place, methods in sorted(places.items()):
        stands_for = paper_numbers.STANDS_FOR[place[0]]
        if OURS not in methods or claim.dataset not in ("", stands_for):
            continue
        for metric in claim.metrics:
            where = ", ".join(place) + (f", {metric}" if len(claim.metrics) > 1 else "")
            if claim.level:
                yield Measured(where, metric, _levels(methods[OURS], metric))
                continue
            test = _of_ours(comparisons, place, metric)
            if test is not None:
                found = _tested(where, test, _mean(methods[test.baseline], metric))
            elif (untested := _untested(where, methods, metric)) is not None:
                found = untested
            else:
                continue
            lacking = f" ({missing[place]})" if missing[place] else ""
            yield replace(found, text=found.text + lacking, missing=missing[place])


def _of_ours(
    comparisons: Sequence[Comparison], place: tuple[str, str], metric: str
) -> Comparison | None:
    """Ours against the best baseline, among all items."""
    wanted = (*place, "full", metric, OURS)
    return next(
        (c for c in comparisons
         if (c.dataset, c.protocol, c.ranking, c.metric, c.method) == wanted
         and c.table in ("table_1", "table_2")),
        None,
    )  # fmt: skip


def _ablated(
    claim: Claim,
    test: Test,
    places: Places,
    comparisons: Sequence[Comparison],
) -> Iterator[Measured]:
    """The comparisons of `test`; gains of Table V in per cent of the backbone, as the paper's."""
    for c in comparisons:
        if (
            (c.table, c.method, c.baseline) == (test.table, test.method, test.baseline)
            and c.metric in test.metrics
            and paper_numbers.STANDS_FOR.get(c.dataset) == claim.dataset
        ):
            methods = places[c.dataset, c.protocol]
            of = c.baseline if test.table == "table_4" else paper_methods.BACKBONE
            where = f"{c.dataset}, {c.protocol}, {c.metric}"
            yield _tested(where, c, _mean(methods[of], c.metric) if of in methods else None)


def _costs(places: Places) -> Iterator[Measured]:
    """How many of the paper's baselines are faster, and smaller in memory, than Ours."""
    for (dataset, protocol), methods in sorted(places.items()):
        others = [m for m in paper_rows().values() if m != OURS and m in methods]
        if OURS not in methods or not others:
            continue
        said = []
        for key, word in (("inference_ms_per_user", "slower"), ("peak_memory_gb", "larger")):
            costs = {m: [r.cost[key] for r in methods[m]] for m in (OURS, *others)}
            if any(cost is None for some in costs.values() for cost in some):
                continue
            means = {m: np.mean(np.array(some, dtype=float)) for m, some in costs.items()}
            fewer = sum(means[OURS] > means[m] for m in others)
            said.append(f"{word} than {fewer} of {len(others)} baselines ({means[OURS]:.3g})")
        if said:
            text = ", ".join(said) + " in ms a user and GiB"
            yield Measured(f"{dataset}, {protocol}", "", text)


def _levels(records: list[Record], metric: str) -> str:
    """The mean of each ranking with its 95 % bootstrap interval over users."""
    values = per_user_values({OURS: records})[OURS]
    columns = np.stack([values[ranking, metric] for ranking in RANKINGS], axis=1)  # (U, 3)
    low, high = significance.bootstrap_interval(columns)
    shown = zip(RANKINGS, columns.mean(axis=0), low, high)
    return ", ".join(f"{name} {mean:.3f} [{a:.3f}, {b:.3f}]" for name, mean, a, b in shown)


def _tested(where: str, test: Comparison, baseline: float | None) -> Measured:
    if not baseline:
        text = f"{test.difference:+.4f} over {test.baseline}, whose mean is 0"
        gain = np.sign(test.difference) * np.inf
        return Measured(where, test.metric, text, gain, -np.inf, np.inf, test.p_holm, np.inf)
    gain, low, high, least = (
        100 * x / baseline for x in (test.difference, test.low, test.high, test.smallest_detectable)
    )
    text = f"{gain:+.1f} % [{low:+.1f}, {high:+.1f}] over {test.baseline}, p {test.p_holm:.2g}"
    return Measured(where, test.metric, text, gain, low, high, test.p_holm, least)


def _untested(where: str, methods: dict[str, list[Record]], metric: str) -> Measured | None:
    """The gain in a number that a run has as a whole; None where either side lacks it."""
    found = {method: _mean(records, metric) for method, records in methods.items()}
    means = {method: mean for method, mean in found.items() if mean is not None}
    baseline = best_baseline(
        {m: mean for m, mean in means.items() if m not in paper_methods.METHODS}
    )
    if baseline is None or OURS not in means or not means[baseline]:
        return None
    gain = 100 * (means[OURS] / means[baseline] - 1)
    return Measured(where, metric, f"{gain:+.1f} % over {baseline}, no interval", gain)


def _mean(records: Sequence[Record], metric: str) -> float | None:
    """Mean over the seeds of a full-ranking metric or of one beyond accuracy."""
    if ("full", metric) in records[0].accuracy:
        return float(np.mean([record.accuracy["full", metric] for record in records]))
    values = [record.beyond_accuracy.get(metric) for record in records]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
