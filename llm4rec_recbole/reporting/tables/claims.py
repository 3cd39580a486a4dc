"""paper_tables/claims.md and claims.csv, the claims ledger as a table; docs/power.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from llm4rec_recbole.analysis import power
from llm4rec_recbole.analysis.claims import LedgerEntry
from llm4rec_recbole.analysis.paper.paper_tables import METRIC_NAMES
from llm4rec_recbole.analysis.verdicts import RULES
from llm4rec_recbole.reporting.tables.render import NONE, Cell, Section, Table, csv_text

OURS_COLUMN = "Ours against its five baselines"
COLUMNS = (
    "Where", "The paper says", "Its own numbers give", OURS_COLUMN,
    "Ours against references and nulls", "Verdict", "Why",
)  # fmt: skip
NOTES = [
    "Claims come from analysis/paper/claims.yaml, the paper's numbers from paper_tables/printed. "
    "The first of these verdicts that applies is given.",
    *(f"{name[0].upper()}{name[1:]}: {rule}." for name, rule in RULES.items()),
    "Ours: gain in the full ranking with its 95 % interval, Holm's p and the conclusion of "
    "equivalence tests. Each data set that stands in for the paper's is listed. Of the five "
    "baselines the closest one is shown. Tables IV and V: gain over the configuration named, of "
    "Table V in per cent of the backbone.",
    "References and nulls: the one with the highest validation NDCG@10, judged by the same rules "
    "without a printed gain; the paper claims nothing about it.",
]


def build(entries: list[LedgerEntry]) -> Table:
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


def to_csv(entries: list[LedgerEntry]) -> str:
    """The ledger for programs: a line for each claim, `key` naming it."""
    header = ["key", "where", "claim", "recomputed", "ours", "reference", "verdict", "reason"]
    return csv_text(
        [*header, "rule"],
        ([entry.claim.key, *row_texts(entry), RULES[entry.verdict]] for entry in entries),
    )


def row_texts(entry: LedgerEntry) -> list[str]:
    """One line of the ledger, a text for each of COLUMNS."""
    claim = entry.claim
    nulls = [f"{m.where}: {m.null.text}" for m in entry.measured if m.null is not None]
    against_nulls = f"{entry.null_verdict}: {'; '.join(nulls)}" if nulls else NONE
    ours = "; ".join(f"{m.where}: {m.text}" for m in entry.measured)
    ours = ours or ("not run" if claim.metrics or claim.test else NONE)
    return [claim.where, claim.says, claim.recomputed or NONE, ours,
            against_nulls, entry.verdict, entry.reason]  # fmt: skip


# The page of `llm4rec power`: the users that each claim needs, by each pilot.

POWER_NOTES = (
    "A cell has the users that a paired t test at the 5 % level needs to find the gain with 80 % "
    "power. In brackets it has the users with Holm's adjustment over the family: the six gains of "
    "Table I, or the 20 steps of Table IV.",
    "The spread between users comes from committed runs, full ranking. A dash: the pilot is "
    "another pair of configurations.",
)


def power_table(gains: Sequence[power.ClaimedGain], pilots: Sequence[power.Pilot]) -> Table:
    """The users that each gain needs, a column for each pilot."""
    rows = []
    for gain in gains:
        needs = zip(power.needed(gain, pilots), power.needed(gain, pilots, holm=True))
        users = power.PAPER_USERS.get(gain.dataset)
        texts = [
            gain.name if gain.table == "claim" else f"{gain.table}, {gain.name}",
            METRIC_NAMES.get(gain.metric, gain.metric),
            f"{gain.percent:+.2f} %",
            *(NONE if one is None else f"{one:,}" if gain.family == 1 else f"{one:,} ({holm:,})"
              for one, holm in needs),
            f"{users:,}" if users else NONE,
        ]  # fmt: skip
        rows.append([Cell(text) for text in texts])
    names = ["Claim", "Metric", "Gain", *(pilot.name for pilot in pilots), "The paper's users"]
    has_table_4 = any(gain.table == "Table IV" for gain in gains)
    return Table(
        name="Power",
        label="tab:power",
        title="The users that each claim needs",
        columns=[("", name) for name in names],
        sections=[Section("Users needed, by each pilot", rows)],
        notes=[
            *([power.resolution_of_table_4(gains, pilots)] if has_table_4 else []),
            *POWER_NOTES,
            "The smallest gain that each pilot's own users and seeds show with 80 % power:",
            *map(_detectable, pilots),
        ],
        text=True,
    )


def _detectable(pilot: power.Pilot) -> str:
    """What the pilot's own users and seeds can show, one test and twelve with Holm."""
    parts = [
        f"{METRIC_NAMES[m]} {pilot.detectable(m):.1f} % "
        f"(with Holm over 12 tests {pilot.detectable(m, 12):.1f} %)"
        for m in ("hit@10", "ndcg@10")
    ]
    return f"{pilot.name}, {pilot.users:,} users: {', '.join(parts)}."
