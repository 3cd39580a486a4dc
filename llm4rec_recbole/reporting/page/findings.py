"""The first paragraph: what came out, in sentences that rules fill in."""

from __future__ import annotations

from html import escape

from llm4rec_recbole.analysis.comparisons import LEVEL
from llm4rec_recbole.analysis.table_rows import OURS
from llm4rec_recbole.reporting.accuracy_rows import AccuracySection

HIT, NDCG = ("full", "hit@10"), ("full", "ndcg@10")


def findings(sections: list[AccuracySection]) -> str:
    """A list of sentences on each data set and protocol with a run."""
    said = [(s, line) for s in sections if s.users for line in (_best(s), _ours(s), _sampled(s))]
    items = "".join(f'<li data-place="{escape(s.place)}">{escape(line)}</li>' for s, line in said)
    return f'<ul class="findings">{items}</ul>'


def _best(section: AccuracySection) -> str:
    ran = [row for row in section.rows if row.ours]
    best = max(ran, key=lambda row: row.ours[NDCG])
    return (
        f"{section.place}: of {len(ran)} methods, {best.method} ranks the held-out item best among "
        f"all items: NDCG@10 {best.ours[NDCG]:.3f}, HR@10 {best.ours[HIT]:.3f}."
    )


def _ours(section: AccuracySection) -> str:
    (row,) = (row for row in section.rows if row.method == OURS)
    if not row.ours:
        return f"{section.place}: the paper's model has no result ({row.status})."
    test = row.tests.get(NDCG)
    if test is None:
        return f"{section.place}: the paper's model has no baseline to be compared with."
    sure = "a difference" if test.p_holm < LEVEL else "which may be chance"
    return (
        f"{section.place}: the paper's model is at NDCG@10 {row.ours[NDCG]:.3f}, "
        f"{test.difference:+.3f} [{test.low:+.3f}, {test.high:+.3f}] against the best baseline, "
        f"{test.baseline} (Holm's p {test.p_holm:.2g}, {sure})."
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
        f"{section.place}: the same runs' HR@10 is {ends[0]} among all items, and {ends[1]} when "
        f"the item only has to beat 100 random ones.{paper}"
    )
