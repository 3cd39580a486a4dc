"""The claims ledger as a part of the page: one card a claim on a phone, a table elsewhere."""

from __future__ import annotations

from collections import Counter
from html import escape

from llm4rec_recbole.analysis.claims import Entry
from llm4rec_recbole.reporting.page.html import columns, scrollable, words
from llm4rec_recbole.reporting.tables import claims

CLASSES = {
    "supported": "yes",
    "not supported": "no",
    "contradicted by the paper itself": "contradicted",
    "consistent within rounding": "rounding",
    "not decided here": "undecided",
    "not testable here": "open",
    "not run": "not-run",
}


def counts(entries: list[Entry]) -> str:
    """The verdicts with their numbers, as buttons that show only theirs."""
    number: Counter[str] = Counter(entry.verdict for entry in entries)
    buttons = "".join(
        f'<button type="button" class="verdict {short}" data-show="{short}" aria-pressed="false">'
        f"<b>{number[verdict]}</b> {escape(verdict)}</button>"
        for verdict, short in CLASSES.items()
    )
    return (
        f'<div class="verdicts" role="group" aria-label="Show only claims that are">{buttons}</div>'
    )


def ledger(entries: list[Entry]) -> str:
    """All claims, in the order of the paper."""
    head = columns([("", name) for name in claims.COLUMNS])
    rows = "".join(_row(entry) for entry in entries)
    notes = "".join(f"<li>{words(note)}</li>" for note in claims.NOTES)
    whole = f'<table class="sortable cards">{head}<tbody>{rows}</tbody></table>'
    return scrollable(whole, "Claims of the paper") + f'<ul class="notes">{notes}</ul>'


def _row(entry: Entry) -> str:
    short = CLASSES[entry.verdict]
    where, *texts = claims.row_texts(entry)
    cells = [f'<th scope="row">{words(where)}</th>']
    for name, text in zip(claims.COLUMNS[1:], texts):
        shown = words(text)
        if name == "Verdict":
            shown = f'<span class="verdict {short}">{shown}</span>'
        if name == claims.OURS_COLUMN and len(entry.measured) > 1:
            lines = "; \n".join(f"{m.where}: {m.text}" for m in entry.measured).splitlines()
            shown = "".join(f'<span class="line">{words(line)}</span>' for line in lines)
        cells.append(f'<td data-name="{escape(name)}">{shown}</td>')
    return f'<tr data-verdict="{short}">{"".join(cells)}</tr>'
