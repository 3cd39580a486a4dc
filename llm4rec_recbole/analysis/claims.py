"""The claims ledger: what the paper says, its own arithmetic, our measurement, and a verdict.

The verdict comes from these rules, the first that applies:

    contradicted by the paper itself   its own printed numbers give something else
    supported                          it is about the printed numbers only, and they agree
    not testable here                  no run could test it, or none that could has been made, or
                                       the printed gain lies inside the interval of ours and below
                                       what this many users can show
    not supported                      somewhere, Ours is not above the best baseline (Tables IV
                                       and V: the row not above what it is compared with), or not
                                       by more than chance (Holm's p), or by less than is printed
    supported                          everywhere, it is above and the printed gain is not above
                                       the interval of ours
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from llm4rec_recbole.analysis import ablation, printed, significance
from llm4rec_recbole.analysis.arithmetic import per_cent
from llm4rec_recbole.analysis.claim_list import Claim, Tables, Test, claims
from llm4rec_recbole.analysis.compare import best_baseline
from llm4rec_recbole.analysis.comparisons import LEVEL, Comparison
from llm4rec_recbole.analysis.per_user import per_user_values
from llm4rec_recbole.analysis.records import RANKINGS, Record
from llm4rec_recbole.analysis.table_rows import OURS, paper_rows, table_methods

Verdict = Literal[
    "supported", "not supported", "contradicted by the paper itself", "not testable here"
]


@dataclass(frozen=True)
class Measured:
    """Ours on one data set and protocol; gains in per cent of the best baseline's mean."""

    where: str
    text: str
    gain: float | None = None
    low: float | None = None  # of the gain's 95 % interval; None where there is no interval
    high: float | None = None
    p_holm: float | None = None
    detectable: float | None = None  # the least gain that this many users show, with 80 % power


@dataclass(frozen=True)
class Entry:
    """One line of the ledger."""

    claim: Claim
    measured: list[Measured]
    verdict: Verdict
    reason: str


def read_printed(folder: Path) -> Tables:
    """The paper's five tables. Raises InputError when one is absent or damaged."""
    return {f"table_{n}": printed.read(folder / f"table_{n}.csv") for n in range(1, 6)}


def ledger(
    paper: Tables,
    records: Sequence[Record],
    comparisons: Sequence[Comparison],
    recbole_row: str = "BPR",
) -> list[Entry]:
    """A line for each claim, in the order of the paper."""
    methods = {*table_methods(recbole_row), *ablation.METHODS}
    places: dict[tuple[str, str], dict[str, list[Record]]] = {}
    for record in records:
        if record.dataset in printed.STANDS_FOR and record.method in methods:
            place = places.setdefault((record.dataset, record.protocol), {})
            place.setdefault(record.method, []).append(record)
    entries = []
    for claim in claims(paper):
        measured = [*_measure(claim, places, comparisons)]
        entries.append(Entry(claim, measured, *_verdict(claim, measured)))
    return entries


def _measure(
    claim: Claim,
    places: dict[tuple[str, str], dict[str, list[Record]]],
    comparisons: Sequence[Comparison],
) -> Iterator[Measured]:
    """Our measurements of `claim`, one for each data set and protocol with a run of Ours."""
    if claim.test is not None:
        yield from _ablated(claim, claim.test, places, comparisons)
    if claim.cost:
        yield from _costs(places)
    if not claim.metric:
        return
    for (dataset, protocol), methods in sorted(places.items()):
        stands_for = printed.STANDS_FOR[dataset]
        if OURS not in methods or claim.dataset not in ("", stands_for):
            continue
        where = f"{dataset}, {protocol}"
        if claim.level:
            yield Measured(where, _levels(methods[OURS], claim.metric))
            continue
        test = next(
            (c for c in comparisons
             if (c.dataset, c.protocol, c.ranking, c.metric, c.method)
             == (dataset, protocol, "full", claim.metric, OURS)
             and c.table in ("table_1", "table_2")),
            None,
        )  # fmt: skip
        if test is not None:
            yield _tested(where, test, _mean(methods[test.baseline], claim.metric))
        elif (found := _untested(where, methods, claim.metric)) is not None:
            yield found


def _ablated(
    claim: Claim,
    test: Test,
    places: dict[tuple[str, str], dict[str, list[Record]]],
    comparisons: Sequence[Comparison],
) -> Iterator[Measured]:
    """The comparisons of `test`; gains of Table V in per cent of the backbone, as the paper's."""
    for c in comparisons:
        if (
            (c.table, c.method, c.baseline) == (test.table, test.method, test.baseline)
            and c.metric in test.metrics
            and printed.STANDS_FOR.get(c.dataset) == claim.dataset
        ):
            methods = places[c.dataset, c.protocol]
            of = c.baseline if test.table == "table_4" else ablation.BACKBONE
            where = f"{c.dataset}, {c.protocol}, {c.metric}"
            yield _tested(where, c, _mean(methods[of], c.metric) if of in methods else None)


def _costs(places: dict[tuple[str, str], dict[str, list[Record]]]) -> Iterator[Measured]:
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
            yield Measured(f"{dataset}, {protocol}", ", ".join(said) + " in ms a user and GiB")


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
        return Measured(where, text, gain, -np.inf, np.inf, test.p_holm, np.inf)
    gain, low, high, least = (
        100 * x / baseline for x in (test.difference, test.low, test.high, test.smallest_detectable)
    )
    text = f"{gain:+.1f} % [{low:+.1f}, {high:+.1f}] over {test.baseline}, p {test.p_holm:.2g}"
    return Measured(where, text, gain, low, high, test.p_holm, least)


def _untested(where: str, methods: dict[str, list[Record]], metric: str) -> Measured | None:
    """The gain in a number that a run has as a whole; None where either side lacks it."""
    found = {method: _mean(records, metric) for method, records in methods.items()}
    means = {method: mean for method, mean in found.items() if mean is not None}
    baseline = best_baseline({m: mean for m, mean in means.items() if m not in ablation.METHODS})
    if baseline is None or OURS not in means or not means[baseline]:
        return None
    gain = 100 * (means[OURS] / means[baseline] - 1)
    return Measured(where, f"{gain:+.1f} % over {baseline}, no interval", gain)


def _mean(records: Sequence[Record], metric: str) -> float | None:
    """Mean over the seeds of a full-ranking metric or of one beyond accuracy."""
    if ("full", metric) in records[0].accuracy:
        return float(np.mean([record.accuracy["full", metric] for record in records]))
    values = [record.beyond_accuracy.get(metric) for record in records]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _verdict(claim: Claim, measured: Sequence[Measured]) -> tuple[Verdict, str]:
    if claim.holds is False:
        by_rounding = "may be" if claim.rounding else "is not"
        return "contradicted by the paper itself", f"rounding {by_rounding} the reason"
    if claim.internal:
        return "supported", "by the paper's own numbers"
    if claim.needs:
        return "not testable here", claim.needs
    if not measured and claim.test is not None:
        return "not testable here", f"no runs of {claim.test.method} and {claim.test.baseline}"
    if not measured:
        return "not testable here", f"no run of {OURS} and a baseline to compare it with"
    problems = [(m, problem) for m in measured if (problem := _problem(claim, m))]
    if problems and all(_is_too_small(claim, m) for m, _ in problems):
        few = problems[0][0]
        shown = f"so many users show a gain of {few.detectable:.0f} % or more"
        return "not testable here", f"{few.where}: {shown}, and {claim.gain} is in our interval"
    if problems:
        where, problem = problems[0][0].where, problems[0][1]
        return "not supported", f"{where}: {problem}"
    if any(m.high is None for m in measured):
        return "not testable here", "one number a run, without an interval, shows no difference"
    less = ", and not by less than is printed" if claim.gain else ""
    return "supported", f"above {_other(claim)}{less}"


def _is_too_small(claim: Claim, measured: Measured) -> bool:
    """Whether the printed gain may well be true and could not have been seen."""
    if not claim.gain or measured.p_holm is None or measured.p_holm < LEVEL:
        return False
    assert measured.low is not None
    assert measured.high is not None
    assert measured.detectable is not None
    printed_gain = float(per_cent(claim.gain))
    return measured.low <= printed_gain <= measured.high and printed_gain < measured.detectable


def _problem(claim: Claim, measured: Measured) -> str:
    """Why `measured` does not support `claim`; "" where it does or cannot tell."""
    if measured.gain is None or measured.gain <= 0:
        return f"not above {_other(claim)}"
    if measured.p_holm is not None and measured.p_holm >= LEVEL:
        return f"the difference may be chance, p {measured.p_holm:.2g}"
    if claim.gain and measured.high is not None and measured.high < float(per_cent(claim.gain)):
        return f"above {_other(claim)}, but by less than {claim.gain}"
    return ""


def _other(claim: Claim) -> str:
    return "the best baseline" if claim.test is None else claim.test.baseline
