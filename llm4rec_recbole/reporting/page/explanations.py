"""Real recommendations with the sentences that explain them, from what `llm4rec showcase` wrote.

[{"user", "recent_titles": […], "item", "title", "sentence", "written_by", "problems": […],
  "template", "evidence"}, …]
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

from markupsafe import Markup

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.reporting.page import model_outputs
from llm4rec_recbole.reporting.page.render import render

KIND = "explanations"
LISTS = ("recent_titles", "problems")
KEYS = ("user", "item", "title", "sentence", "written_by", "template", "evidence", *LISTS)


def recommendations(results: Path) -> Markup:
    """A card for each user: recent titles, recommendations, reasons, and who wrote them.

    Raises InputError naming a bad entry.
    """
    answers = model_outputs.read(results, KIND)
    if not answers:
        return model_outputs.none_of(KIND, "showcase")
    sections = [
        {"setting": answer.setting, "who": answer.who, "users": _users(_checked(answer))}
        for answer in answers
    ]
    return render("explanations.html", answers=sections)


def _users(entries: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """(user, that user's entries), with writer and evidence in words."""
    rows = [e | {"writer": _writer(e), "evidence": _plain(e["evidence"])} for e in entries]
    return [(user, [*its]) for user, its in groupby(rows, key=lambda e: str(e["user"]))]


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


def _writer(entry: dict[str, Any]) -> str:
    """Who wrote the sentence, and why the language model did not."""
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
