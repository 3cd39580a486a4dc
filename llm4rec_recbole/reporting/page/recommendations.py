"""Real recommendations with the sentences that explain them, from results/explanations.json.

[{"user", "recent_titles": […], "item", "title", "sentence", "template", "evidence"}, …]
"""

from __future__ import annotations

import json
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError

FILE = "explanations.json"
KEYS = ("user", "recent_titles", "item", "title", "sentence", "template", "evidence")


def read(path: Path) -> list[dict[str, Any]] | None:
    """What the file holds; None where there is none. Raises InputError naming a bad entry."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError("not JSON", file=path, hint="make it again") from error
    if not isinstance(entries, list):
        raise InputError("not a list of recommendations", file=path)
    for number, entry in enumerate(entries, 1):
        lacking = [k for k in KEYS if not isinstance(entry, dict) or k not in entry]
        if lacking:
            raise InputError(f"recommendation {number} has no {', '.join(lacking)}", file=path)
        if not isinstance(entry["recent_titles"], list):
            raise InputError(f"recommendation {number}: recent_titles is no list", file=path)
    return entries


def recommendations(entries: list[dict[str, Any]] | None) -> str:
    """A card for each user: what they rated last, and what is recommended, and why."""
    if not entries:
        return f"<p>None were made for these results: there is no <code>results/{FILE}</code>.</p>"
    cards = [_card(user, [*its]) for user, its in groupby(entries, key=lambda e: str(e["user"]))]
    return f'<div class="people">{"".join(cards)}</div>'


def _card(user: str, entries: list[dict[str, Any]]) -> str:
    recent = ", ".join(escape(str(title)) for title in entries[0]["recent_titles"])
    items = "".join(
        f"<li><b>{escape(str(e['title']))}</b>"
        f'<p class="because">{escape(str(e["sentence"]))}</p>'
        f'<p class="evidence">{escape(str(e["template"]))} template; '
        f"evidence: {escape(_plain(e['evidence']))}</p></li>"
        for e in entries
    )
    return (
        f'<article><h3>User {escape(user)}</h3><p class="recent">Lately: {recent}</p>'
        f"<ol>{items}</ol></article>"
    )


def _plain(evidence: Any) -> str:
    """Evidence of any shape in one line."""
    if isinstance(evidence, dict):
        return "; ".join(f"{key} {_plain(value)}" for key, value in evidence.items())
    if isinstance(evidence, list):
        return ", ".join(_plain(value) for value in evidence)
    if isinstance(evidence, float):
        return f"{evidence:.3g}"
    return "none" if evidence is None else str(evidence)
