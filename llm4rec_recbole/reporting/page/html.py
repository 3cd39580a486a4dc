"""Tables and figures as HTML; everything that comes from a file is escaped here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from itertools import groupby

from llm4rec_recbole.reporting.figures.svg import Figure
from llm4rec_recbole.reporting.tables.render import Cell, Section, Table

MARK = '<abbr class="mark" title="p below 0.05, see the notes below the table">*</abbr>'

LONG = 30  # signs; a cell with more of them is words, which may take several lines
MINUS = re.compile(r"(?<![\w.)])-(?=\d)")  # before a number, and no hyphen as in Uniform-100
INTERVAL = re.compile(r"\[[^\[\]]*\]")
WHOLE = re.compile(
    rf"{INTERVAL.pattern}|(?<![\w.+−])[\w.+−]+ %|\bp \d[\w.-]*"
)  # what stands in one line


def words(text: str) -> str:
    """`text` as HTML: a line may end after an underscore of a long name, not within an interval,
    before a per cent sign, or between p and its value."""
    shown = MINUS.sub("−", escape(text)).replace("_", "_<wbr>")
    return WHOLE.sub(lambda found: f'<span class="whole">{found[0]}</span>', shown)


def table(made: Table) -> str:
    """A table for each section of `made`, each with its heading, the notes below them all."""
    shown = [_section(made, section) for section in made.sections]
    notes = "".join(f"<li>{words(note)}</li>" for note in made.notes)
    title = f"<h3>{escape(f'{made.name}. {made.title}')}</h3>"
    return title + "".join(shown) + f'<ul class="notes">{notes}</ul>'


def columns(names: Sequence[tuple[str, str]]) -> str:
    """The head of a sortable table: names, and the groups above them where there are any."""
    groups = ""
    if any(group for group, _ in names):
        spans = [(group, len([*its])) for group, its in groupby(group for group, _ in names)]
        groups = "".join(
            f'<th colspan="{n}" scope="colgroup" class="group">{escape(group)}</th>'
            if group else f'<td colspan="{n}"></td>'
            for group, n in spans
        )  # fmt: skip
        groups = f"<tr>{groups}</tr>"
    cells = "".join(
        f'<th scope="col"{_classes(_tint(group))}>'
        f'<button type="button">{escape(name)}</button></th>'
        for group, name in names
    )
    return f"<thead>{groups}<tr>{cells}</tr></thead>"


def scrollable(inner: str, name: str) -> str:
    """A wide table in a region of its own, which arrow keys scroll."""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(name)}">{inner}</div>'
    )


def figures(made: Sequence[Figure | None], caption: str, setting: str = "") -> str:
    """Drawings side by side with one caption; "" where none could be drawn."""
    drawn = [figure for figure in made if figure is not None]
    if not drawn:
        return ""
    shown = "".join(_figure(each) for each in drawn)
    return (
        f'<div class="figures"{at(setting)}><div class="row">{shown}</div>'
        f'<p class="caption">{escape(caption)}</p></div>'
    )


def _figure(drawn: Figure) -> str:
    """A drawing that is scrolled where it does not fit: smaller, nobody could read it."""
    return (
        f'<figure class="figure" style="--width:{drawn.width:g}px"><h4>{escape(drawn.title)}</h4>'
        f"{scrollable(drawn.inline(), drawn.title)}</figure>"
    )


def at(setting: str) -> str:
    """The attribute by which the page's filter finds what belongs to a data set and protocol."""
    return f' data-setting="{escape(setting)}"' if setting else ""


def _section(made: Table, section: Section) -> str:
    tints = [_tint(group) for group, _ in made.columns]
    rows = "".join(_row(row, tints) for row in section.rows)
    name = f"{made.name}. {made.title}. {section.heading}"
    head = columns(made.columns)
    whole = f'<table class="sortable">{head}<tbody>{rows}</tbody></table>'
    return (
        f'<div{at(section.setting)}><h4 class="where">{escape(section.heading)}</h4>'
        f"{scrollable(whole, name)}</div>"
    )


def _row(cells: list[Cell], tints: list[str]) -> str:
    first = f'<th scope="row">{_content(cells[0])}</th>'
    rest = "".join(
        f"<td{_classes(tint, _wraps(cell))}>{_content(cell)}</td>"
        for cell, tint in zip(cells[1:], tints[1:])
    )
    return f"<tr>{first}{rest}</tr>"


def _wraps(cell: Cell) -> str:
    """The class of a cell that may take several lines."""
    if INTERVAL.search(cell.text):
        return "interval"
    return "words" if len(cell.text) > LONG else ""


def _content(cell: Cell) -> str:
    tag = {"best": "strong", "second": "u"}.get(cell.rank)
    shown = words(cell.text)
    return (f"<{tag}>{shown}</{tag}>" if tag else shown) + (MARK if cell.marked else "")


def _tint(group: str) -> str:
    return "paper" if group == "Paper" else ""


def _classes(*names: str) -> str:
    given = " ".join(name for name in names if name)
    return f' class="{given}"' if given else ""
