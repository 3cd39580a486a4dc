"""The first sentences: does the paper hold, and what came out on each data set."""

from __future__ import annotations

from collections.abc import Sequence

from llm4rec_recbole.analysis.claims import Entry
from llm4rec_recbole.analysis.paired_tests import LEVEL, Comparison
from llm4rec_recbole.analysis.paper.paper_methods import OURS, REFERENCES
from llm4rec_recbole.reporting.tables.rows import AccuracySection, Row

HIT, NDCG = ("full", "hit@10"), ("full", "ndcg@10")


def does_it_hold(claims: Sequence[Entry]) -> str:
    """Whether the paper holds, in one sentence.

    "In full" asks our runs to support every claim. Else the answer is "Not as printed" if the
    paper's own numbers contradict a claim, and "Not shown" if they do not.
    """
    supported = sum(entry.verdict == "supported" and bool(entry.measured) for entry in claims)
    contradicted = sum("paper itself" in entry.verdict for entry in claims)
    short = "Not as printed" if contradicted else "Not shown"
    if supported == len(claims):
        short = "In full"
    return (
        f"{short}: our runs support {supported} of the paper's {len(claims)} claims, and the "
        f"paper's own numbers contradict {contradicted}."
    )


def summary(sections: list[AccuracySection]) -> list[tuple[str, str]]:
    """(setting, sentence) for each sentence on each data set and protocol."""
    return [(section.setting, line) for section in sections for line in _lines(section)]


def _lines(section: AccuracySection) -> list[str]:
    if not section.users:
        return [f"no method has a result; {_missing(section.rows)}."]
    return [_best(section), our_model(section), _sampled(section)]


def _missing(rows: list[Row]) -> str:
    """Which of `rows` lack a result, or a part of it, and why; "" where nothing is missing."""
    failed = [row.method for row in rows if row.failures and not row.records]
    not_run = [row.method for row in rows if not row.failures and not row.records]
    parts = [f"{', '.join(failed)} failed"] if failed else []
    parts += [f"{', '.join(not_run)} not run"] if not_run else []
    for row in rows:
        if row.failures and row.records:
            runs = len(row.failures) + len(row.records)
            parts.append(f"{len(row.failures)} of {runs} seeds of {row.method} failed")
    return "; ".join(parts)


def _best(section: AccuracySection) -> str:
    ran = [row for row in section.rows if row.ours]
    best = max(ran, key=lambda row: row.ours[NDCG])
    missing = _missing(section.rows)
    methods = f"{len(ran)} method{'s' if len(ran) > 1 else ''}"
    return (
        f"of {f'the {methods} that ran ({missing})' if missing else methods}, {best.method} ranks "
        f"the held-out item best among all items: NDCG@10 {best.ours[NDCG]:.3f}, "
        f"HR@10 {best.ours[HIT]:.3f}."
    )


def our_model(section: AccuracySection) -> str:
    """EnhancedGenRec's NDCG@10 and its differences from the best baseline and the best null."""
    (row,) = (row for row in section.rows if row.method == OURS)
    if not row.ours:
        return f"the paper's model has no result ({row.status})."
    missing = _missing([other for other in section.rows if other.printed_as and other is not row])
    tests = [r.tests[NDCG] for r in section.rows if NDCG in r.tests]
    claims = [test for test in tests if test.table == "table_1"]
    of_the_paper = {other.method for other in section.rows if other.printed_as}
    baselines = [test for test in claims if test.baseline in of_the_paper]
    if not claims:
        return f"the paper's model has no baseline to be compared with ({missing})."
    parts = []
    if baselines:
        closest = min(baselines, key=lambda test: test.difference)
        which = "the best of the paper's baselines that ran" if missing else (
            "the best of the paper's five baselines"
        )  # fmt: skip
        parts.append(_difference(closest, which))
    parts += [
        _difference(test, "the best reference" if test.baseline in REFERENCES else "the best null")
        for test in claims
        if test.baseline not in of_the_paper
    ]
    single = " One seed supports no claim." if row.one_seed else ""
    noted = f" ({missing})" if missing else ""
    return f"EnhancedGenRec has NDCG@10 {row.ours[NDCG]:.3f}{noted}. {' '.join(parts)}{single}"


def _difference(test: Comparison, which: str) -> str:
    """One sentence: a difference from a baseline, its interval and its test."""
    sure = "significant" if test.p_holm < LEVEL else "not significant"
    return (
        f"Against {which}, {test.baseline}, the difference is {test.difference:+.3f} "
        f"[{test.low:+.3f}, {test.high:+.3f}], {sure} (Holm p {test.p_holm:.2g})."
    )


def _sampled(section: AccuracySection) -> str:
    ran = [row for row in section.rows if row.ours]
    ends = [
        f"{min(values):.3f} to {max(values):.3f}"
        for values in ([r.ours[k, "hit@10"] for r in ran] for k in ("full", "uni100"))
    ]
    printed = [float(row.paper["hit@10"]) for row in section.rows if "hit@10" in row.paper]
    paper = f" The paper prints {min(printed):.3f} to {max(printed):.3f}." if printed else ""
    return (
        f"the same runs' HR@10 is {ends[0]} among all items, and {ends[1]} when "
        f"the item only has to beat 100 random ones.{paper}"
    )
