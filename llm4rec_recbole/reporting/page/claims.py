"""The claims ledger as a part of the page: one card a claim on a phone, a table elsewhere."""

from __future__ import annotations

from collections import Counter
from typing import Any

from markupsafe import Markup

from llm4rec_recbole.analysis.claims import Entry
from llm4rec_recbole.reporting.page.render import render
from llm4rec_recbole.reporting.tables import claims

#: The CSS class of each verdict.
CLASSES = {
    "supported": "yes",
    "above, but not by the printed size": "above",
    "no effect larger than x %": "no-effect",
    "contradicted by our data": "no",
    "contradicted by the paper itself": "contradicted",
    "consistent within rounding": "rounding",
    "undecidable even on the paper's own data": "open",
    "not decided here": "undecided",
    "not run": "not-run",
}


def counts(entries: list[Entry]) -> list[tuple[str, int, str]]:
    """(CSS class, number of claims, verdict) of every verdict, for buttons that filter."""
    number: Counter[str] = Counter(entry.verdict for entry in entries)
    return [(css, number[verdict], verdict) for verdict, css in CLASSES.items()]


def ledger(entries: list[Entry]) -> Markup:
    """All claims, in the order of the paper."""
    columns = [("", name) for name in claims.COLUMNS]
    rows = [_row(entry) for entry in entries]
    return render("claims.html", columns=columns, claims=rows, notes=claims.NOTES)


def _row(entry: Entry) -> dict[str, Any]:
    where, *texts = claims.row_texts(entry)
    measurements = [f"{m.where}: {m.text}" for m in entry.measured]
    cells = [
        (name, text, measurements if name == claims.OURS_COLUMN else [])
        for name, text in zip(claims.COLUMNS[1:], texts)
    ]
    return {"css": CLASSES[entry.verdict], "where": where, "cells": cells}
