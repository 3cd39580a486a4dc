"""What trained models were asked: results/<kind>/<data set>/<protocol>/<method>/seed_<k>.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path
from typing import Any, TypeVar

from llm4rec_recbole.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """One file: which model answers, and what."""

    path: Path
    content: Any

    @property
    def place(self) -> str:
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


def numbers(content: Any, of: type[T], path: Path) -> T:
    """`content` as the dataclass `of`, whose fields are numbers. Raises InputError where one is
    lacking."""
    own = content if isinstance(content, dict) else {}
    names = [field.name for field in fields(of)]  # type: ignore[arg-type]
    lacking = [name for name in names if not isinstance(own.get(name), int | float)]
    if lacking:
        raise InputError(f"no number for {', '.join(lacking)}", file=path, hint="make it again")
    return of(**{name: own[name] for name in names})


def none_of(kind: str, command: str) -> str:
    """What stands where there is no file."""
    return (
        f"<p>Not made for these results: there is nothing in <code>results/{escape(kind)}</code>. "
        f"<code>llm4rec {escape(command)}</code> makes it from a trained model.</p>"
    )


def places(answers: Sequence[Answer]) -> list[str]:
    """Each data set and protocol once, in order."""
    return list(dict.fromkeys(answer.place for answer in answers))
