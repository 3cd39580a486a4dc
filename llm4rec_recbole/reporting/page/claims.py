"""The claims ledger in the page: verdicts by place in the paper, the claims on demand."""

from __future__ import annotations

import re
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
    """A table of verdicts by place in the paper, then each place's claims, folded."""
    by_place: dict[str, list[Entry]] = {}
    for entry in entries:
        by_place.setdefault(entry.claim.where, []).append(entry)
    verdicts = [(css, verdict) for css, number, verdict in counts(entries) if number]
    parts = [
        {
            "name": name,
            "id": "claims-" + re.sub(r"\W+", "-", name).strip("-").lower(),
            "counts": [sum(entry.verdict == verdict for entry in its) for _, verdict in verdicts],
            "claims": [_row(entry) for entry in its],
        }
        for name, its in by_place.items()
    ]
    columns = [("", name) for name in claims.COLUMNS[1:]]
    return render(
        "claims.html", parts=parts, verdicts=verdicts, columns=columns, notes=claims.NOTES
    )


def _row(entry: Entry) -> dict[str, Any]:
    _, says, *texts = claims.row_texts(entry)
    measurements = [f"{m.where}: {m.text}" for m in entry.measured]
    cells = [
        (name, text, measurements if name == claims.OURS_COLUMN else [])
        for name, text in zip(claims.COLUMNS[2:], texts)
    ]
    return {"css": CLASSES[entry.verdict], "says": says, "cells": cells}
