"""The claims ledger: what the paper says, its own arithmetic, our measurement, and a verdict.

What the paper says is in claim_list.py, the rules of the verdicts in verdicts.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from llm4rec_recbole.analysis import ablation, printed, significance
from llm4rec_recbole.analysis.claim_list import Claim, Tables, Test, claims
from llm4rec_recbole.analysis.compare import best_baseline
from llm4rec_recbole.analysis.comparisons import Comparison
from llm4rec_recbole.analysis.per_user import per_user_values
from llm4rec_recbole.analysis.records import RANKINGS, Failure, Record
from llm4rec_recbole.analysis.table_rows import OURS, paper_rows, table_methods
from llm4rec_recbole.analysis.verdicts import Measured, Verdict, verdict


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
    methods = {OURS, *baselines, *ablation.METHODS}
    places: Places = {}
    for record in records:
        if record.dataset in printed.STANDS_FOR and record.method in methods:
            place = places.setdefault((record.dataset, record.protocol), {})
            place.setdefault(record.method, []).append(record)
    failed = {place: {f.method for f in failures if (f.dataset, f.protocol) == place}
              for place in places}  # fmt: skip
    missing = {
        place: _missing(runs.keys(), failed[place], baselines, recbole_row)
        for place, runs in places.items()
    }
    entries = []
    for claim in claims(paper):
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
        stands_for = printed.STANDS_FOR[place[0]]
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
            and printed.STANDS_FOR.get(c.dataset) == claim.dataset
        ):
            methods = places[c.dataset, c.protocol]
            of = c.baseline if test.table == "table_4" else ablation.BACKBONE
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
    baseline = best_baseline({m: mean for m, mean in means.items() if m not in ablation.METHODS})
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
