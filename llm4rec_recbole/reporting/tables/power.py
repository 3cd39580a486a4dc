"""The table of `llm4rec power`: users that each claim needs, by each pilot."""

from __future__ import annotations

from collections.abc import Sequence

from llm4rec_recbole.analysis.paper.paper_methods import METRIC_NAMES
from llm4rec_recbole.analysis.power import (
    PAPER_USERS,
    Gain,
    Pilot,
    needed,
    resolution_of_table_4,
)

NOTES = """\
A cell has the users that a paired t test at the 5 % level needs to find the gain with 80 % power.
In brackets it has the users with Holm's adjustment over the family: the six gains of Table I, or
the 20 steps of Table IV. The spread between users comes from committed runs, full ranking. A dash:
the pilot is another pair of configurations.
"""


def render(gains: Sequence[Gain], pilots: Sequence[Pilot]) -> str:
    """The page in Markdown."""
    from tabulate import tabulate

    headers = ["Claim", "Metric", "Gain", *(pilot.name for pilot in pilots), "The paper's users"]
    rows = []
    for gain in gains:
        one, holm = needed(gain, pilots), needed(gain, pilots, holm=True)
        name = gain.name if gain.table == "claim" else f"{gain.table}, {gain.name}"
        cells = [
            "–" if n is None else f"{n:,}" if gain.family == 1 else f"{n:,} ({m:,})"
            for n, m in zip(one, holm)
        ]
        users = PAPER_USERS.get(gain.dataset)
        metric = METRIC_NAMES.get(gain.metric, gain.metric)
        rows.append(
            [name, metric, f"{gain.percent:+.2f} %", *cells, f"{users:,}" if users else "–"]
        )
    table = tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)
    whole = any(gain.table == "Table IV" for gain in gains)
    answer = f"{resolution_of_table_4(gains, pilots)}\n\n" if whole else ""
    return f"# Power\n\n{answer}{NOTES}\n{table}\n\n{_detectable(pilots)}\n"


def _detectable(pilots: Sequence[Pilot]) -> str:
    """What each pilot's own users and seeds can show, one test and twelve with Holm."""
    lines = ["The smallest gain that each pilot's own users and seeds show with 80 % power:", ""]
    for pilot in pilots:
        parts = [
            f"{METRIC_NAMES[m]} {pilot.detectable(m):.1f} % "
            f"(with Holm over 12 tests {pilot.detectable(m, 12):.1f} %)"
            for m in ("hit@10", "ndcg@10")
        ]
        lines.append(f"- {pilot.name}, {pilot.users:,} users: {', '.join(parts)}")
    return "\n".join(lines)
