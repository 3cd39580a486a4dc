"""What trained models answered: results/<kind>/<data set>/<protocol>/<method>/seed_<k>.json."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.reporting.page.render import render


@dataclass(frozen=True)
class Answer:
    """One file: which model answers, and what."""

    path: Path
    content: Any

    @property
    def setting(self) -> str:
        """Data set and protocol."""
        return ", ".join(self.path.parts[-4:-2])

    @property
    def who(self) -> str:
        """Method and seed."""
        return f"{self.path.parts[-2]}, {self.path.stem.replace('_', ' ')}"


def read(results: Path, kind: str) -> list[Answer]:
    """Every file of a kind, by name. Raises InputError for one that is not JSON."""
    answers = []
    for path in sorted((results / kind).glob("*/*/*/seed_*.json")):
        try:
            answers.append(Answer(path, json.loads(path.read_text(encoding="utf-8"))))
        except ValueError as error:
            raise InputError("not JSON", file=path, hint="make it again") from error
    return answers


def numbers(content: Any, keys: Sequence[str], path: Path) -> dict[str, float]:
    """The finite numbers of `content` under `keys`. Raises InputError where one is missing."""
    own = content if isinstance(content, dict) else {}
    bad = [key for key in keys if not _is_number(own.get(key))]
    if bad:
        raise InputError(f"no finite number for {', '.join(bad)}", file=path, hint="make it again")
    return {key: own[key] for key in keys}


def _is_number(value: Any) -> bool:
    """Whether `value` is a finite int or float; a Boolean is not, nor an int beyond a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def none_of(kind: str, command: str) -> Markup:
    """The paragraph for a kind without any file."""
    return render("none.html", kind=kind, command=command)


def settings(answers: Sequence[Answer]) -> list[str]:
    """Each data set and protocol once, in order."""
    return list(dict.fromkeys(answer.setting for answer in answers))
