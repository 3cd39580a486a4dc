"""paper_tables/claims.md and claims.csv: the claims ledger, written out."""

from __future__ import annotations

import csv
import io
from collections import Counter

from llm4rec_recbole.analysis.claims import Entry
from llm4rec_recbole.reporting.tables.render import Cell, Section, Table

COLUMNS = ("Place", "The paper says", "Its own numbers give", "Ours", "Verdict", "Why")
NOTES = [
    "Verdicts come from the rules in llm4rec_recbole/analysis/claims.py. What the paper's tables "
    "print is read from paper_tables/printed, what its abstract and text say from claim_list.py.",
    "Contradicted: the printed numbers give something else. Rounding may be the reason where some "
    "numbers that round to the printed ones would give the printed percentage.",
    "Ours: full ranking, gain over the best baseline with its 95 % bootstrap interval over users "
    "and Holm's p, for each data set that stands in for the paper's. Tables IV and V: gain over "
    "the configuration named, of Table V in per cent of the backbone. –: nothing to measure.",
]


def build(entries: list[Entry]) -> Table:
    """The ledger for people, its verdicts counted in the heading."""
    counts = Counter(entry.verdict for entry in entries)
    rounded = sum(e.claim.holds is False and e.claim.rounding for e in entries)
    heading = ", ".join(
        f"{number} {verdict}"
        + (f" ({rounded} perhaps by rounding)" if verdict.startswith("contra") and rounded else "")
        for verdict, number in counts.most_common()
    )
    rows = [[Cell(text) for text in texts(entry)] for entry in entries]
    return Table(
        name="Claims",
        label="tab:claims",
        title="What the paper claims, its own arithmetic, and what we measured",
        columns=[("", name) for name in COLUMNS],
        sections=[Section(f"{len(entries)} claims: {heading}", rows)],
        notes=NOTES,
        text=True,
    )


def to_csv(entries: list[Entry]) -> str:
    """The ledger for programs: a line for each claim, `key` naming it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["key", "place", "claim", "recomputed", "ours", "verdict", "reason"])
    writer.writerows([entry.claim.key, *texts(entry)] for entry in entries)
    return text.getvalue()


def texts(entry: Entry) -> list[str]:
    """One line of the ledger, a cell for each of COLUMNS."""
    claim = entry.claim
    return [claim.place, claim.says, claim.recomputed or "–", _ours(entry), entry.verdict,
            entry.reason]  # fmt: skip


def _ours(entry: Entry) -> str:
    if entry.measured:
        return "; ".join(f"{m.where}: {m.text}" for m in entry.measured)
    return "not run" if entry.claim.metrics or entry.claim.test else "–"
