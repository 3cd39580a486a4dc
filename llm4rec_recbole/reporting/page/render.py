"""Renders the page's templates; Jinja2 escapes everything that comes from a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from llm4rec_recbole.reporting.figures.svg import Figure
from llm4rec_recbole.reporting.tables.render import Cell, Table

TEMPLATES = Path(__file__).with_name("templates")
LONG = 30  # signs; a longer cell holds words, which may take several lines
PLUS = re.compile(r"(?<=[A-Za-z])\+(?=[A-Za-z])")  # of a sum of references
MINUS = re.compile(r"(?<![\w.)])-(?=\d)")  # before a number; not a hyphen as in Uniform-100
INTERVAL = re.compile(r"\[[^\[\]]*\]")
DEVIATION = re.compile(r" (± [\d.]+)")  # over seeds; it may stand below the mean
RANGE = re.compile(r"(?<=\d)–(?=\d)")
WHOLE = re.compile(rf"{INTERVAL.pattern}|(?<![\w.+−])[\w.+−]+ %|\bp \d[\w.-]*")  # stays in one line


def render(template: str, **values: Any) -> Markup:
    """The template with `values`, every one of them escaped unless it is Markup."""
    return Markup(_environment().get_template(template).render(**values))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"words": words, "hash": short_hash}
    environment.globals |= {"cell_class": cell_class, "column_groups": column_groups}
    return environment


def words(text: str) -> Markup:
    """`text` as HTML with its line breaks: after an underscore or plus of a long name, but not
    within an interval, before a per cent sign, or between p and its value."""
    html = MINUS.sub("−", str(escape(text))).replace("_", "_<wbr>")
    html = PLUS.sub("+<wbr>", html)
    html = WHOLE.sub(lambda match: f'<span class="whole">{match[0]}</span>', html)
    html = DEVIATION.sub(r' <span class="deviation">\1</span>', html)
    return Markup(RANGE.sub("–<wbr>", html))


def short_hash(value: Any) -> Markup:
    """A hash cut to eight digits, with all of it under the pointer; any other value as it is."""
    text = "–" if value is None else str(value)
    digits, dash, suffix = text.partition("-")
    if len(digits) in (40, 64) and not set(digits) - set("0123456789abcdef"):
        return Markup('<code title="{}">{}</code>').format(text, digits[:8] + dash + suffix)
    return escape(text)


def column_groups(columns: Sequence[tuple[str, str]]) -> list[tuple[str, int]]:
    """(group, number of its columns) from left to right; [] where no column has a group."""
    groups = [(group, len([*same])) for group, same in groupby(group for group, _ in columns)]
    return groups if any(group for group, _ in groups) else []


def cell_class(cell: Cell, group: str) -> str:
    """The CSS classes of a cell: whether it is the paper's, and whether it may take more lines."""
    tint = "paper" if group == "Paper" else ""
    interval = INTERVAL.search(cell.text) or RANGE.search(cell.text)
    wraps = "interval" if interval else "words" if len(cell.text) > LONG else ""
    return f"{tint} {wraps}".strip()


def table(made: Table) -> Markup:
    """A table for each section of `made`, each with its heading; the notes below them all."""
    return render("table.html", made=made)


def figures(plots: Sequence[Figure | None], caption: str, setting: str = "") -> Markup:
    """Figures side by side with one caption; empty where none could be drawn."""
    drawn = [(figure, Markup(figure.inline())) for figure in plots if figure is not None]
    if not drawn:
        return Markup("")
    return render("figures.html", drawn=drawn, caption=caption, setting=setting)
