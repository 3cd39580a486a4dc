"""paper_tables/claims.md and claims.csv: the claims ledger as a table."""

from __future__ import annotations

import csv
import io
from collections import Counter

from llm4rec_recbole.analysis.claims import RULES, Entry
from llm4rec_recbole.reporting.tables.render import NONE, Cell, Section, Table

OURS_COLUMN = "Ours against its five baselines"
COLUMNS = (
    "Where", "The paper says", "Its own numbers give", OURS_COLUMN,
    "Ours against references and nulls", "Verdict", "Why",
)  # fmt: skip
NOTES = [
    "Claims come from analysis/paper/claims.yaml, the paper's numbers from paper_tables/printed. "
    "The first of these verdicts that applies is given.",
    *(f"{name[0].upper()}{name[1:]}: {rule}." for name, rule in RULES.items()),
    "Ours: full ranking, gain with its 95 % interval, Holm's p and the conclusion of equivalence "
    "tests, for each data set that stands in for the paper's. Of the five baselines the closest "
    "one is shown. Tables IV and V: gain over the configuration named, of Table V in per cent of "
    "the backbone.",
    "References and nulls: the one with the highest validation NDCG@10, judged by the same rules "
    "without a printed gain; the paper claims nothing about it.",
]


def build(entries: list[Entry]) -> Table:
    """The ledger for people, its verdicts counted in the heading."""
    counts = Counter(entry.verdict for entry in entries)
    heading = ", ".join(f"{number} {verdict}" for verdict, number in counts.most_common())
    rows = [[Cell(text) for text in row_texts(entry)] for entry in entries]
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
    writer.writerow(
        ["key", "where", "claim", "recomputed", "ours", "reference", "verdict", "reason", "rule"]
    )
    writer.writerows(
        [entry.claim.key, *row_texts(entry), RULES[entry.verdict]] for entry in entries
    )
    return text.getvalue()


def row_texts(entry: Entry) -> list[str]:
    """One line of the ledger, a text for each of COLUMNS."""
    claim = entry.claim
    nulls = [f"{m.where}: {m.null.text}" for m in entry.measured if m.null is not None]
    against_nulls = f"{entry.null_verdict}: {'; '.join(nulls)}" if nulls else NONE
    return [claim.where, claim.says, claim.recomputed or NONE, _ours(entry),
            against_nulls, entry.verdict, entry.reason]  # fmt: skip


def _ours(entry: Entry) -> str:
    if entry.measured:
        return "; ".join(f"{m.where}: {m.text}" for m in entry.measured)
    return "not run" if entry.claim.metrics or entry.claim.test else NONE
