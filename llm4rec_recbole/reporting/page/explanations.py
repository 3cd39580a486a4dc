"""Real recommendations with the sentences that explain them, from what `llm4rec showcase` wrote.

[{"user", "recent_titles": […], "item", "title", "sentence", "written_by", "problems": […],
  "template", "evidence"}, …]
"""

from __future__ import annotations

from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.reporting.page import html, model_outputs

KIND = "explanations"
LISTS = ("recent_titles", "problems")
KEYS = ("user", "item", "title", "sentence", "written_by", "template", "evidence", *LISTS)


def recommendations(results: Path) -> str:
    """A card for each user: what they had last, and what is recommended, why, and in whose words.

    Raises InputError naming a bad entry.
    """
    answers = model_outputs.read(results, KIND)
    if not answers:
        return model_outputs.none_of(KIND, "showcase")
    return "".join(_people(answer) for answer in answers)


def _people(answer: model_outputs.Answer) -> str:
    entries = _checked(answer)
    cards = [_card(user, [*its]) for user, its in groupby(entries, key=lambda e: str(e["user"]))]
    heading = escape(f"{answer.setting}: {answer.who}")
    return (
        f'<div{html.at(answer.setting)}><h4 class="where">{heading}</h4>'
        f'<div class="people">{"".join(cards)}</div></div>'
    )


def _checked(answer: model_outputs.Answer) -> list[dict[str, Any]]:
    entries, path = answer.content, answer.path
    if not isinstance(entries, list):
        raise InputError("not a list of recommendations", file=path)
    for number, entry in enumerate(entries, 1):
        lacking = [k for k in KEYS if not isinstance(entry, dict) or k not in entry]
        if lacking:
            raise InputError(f"recommendation {number} has no {', '.join(lacking)}", file=path)
        for key in LISTS:
            if not isinstance(entry[key], list):
                raise InputError(f"recommendation {number}: {key} is no list", file=path)
    return entries


def _card(user: str, entries: list[dict[str, Any]]) -> str:
    recent = ", ".join(escape(str(title)) for title in entries[0]["recent_titles"])
    items = "".join(
        f"<li><b>{escape(str(e['title']))}</b>"
        f'<p class="because">{escape(str(e["sentence"]))}</p>'
        f'<p class="evidence">{escape(str(e["template"]))} template, {escape(_writer(e))}; '
        f"evidence: {escape(_plain(e['evidence']))}</p></li>"
        for e in entries
    )
    return (
        f'<article><h3>User {escape(user)}</h3><p class="recent">Lately: {recent}</p>'
        f"<ol>{items}</ol></article>"
    )


def _writer(entry: dict[str, Any]) -> str:
    """Whose words the sentence is, and why not the language model's."""
    if entry["written_by"] != "template":
        return f"written by {entry['written_by']}"
    why = "; ".join(map(str, entry["problems"]))
    return f"its own words (the language model's were refused: {why})" if why else "its own words"


def _plain(evidence: Any) -> str:
    """Evidence of any shape in one line."""
    if isinstance(evidence, dict):
        return "; ".join(f"{key} {_plain(value)}" for key, value in evidence.items())
    if isinstance(evidence, list):
        return ", ".join(_plain(value) for value in evidence)
    if isinstance(evidence, float):
        return f"{evidence:.3g}"
    return "none" if evidence is None else str(evidence)
