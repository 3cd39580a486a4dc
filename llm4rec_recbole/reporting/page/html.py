"""Tables and figures as HTML; everything that comes from a file is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

from llm4rec_recbole.reporting.figures.svg import Figure
from llm4rec_recbole.reporting.formats import Cell, Section, Table

MARK = '<abbr class="mark" title="p below 0.05, see the notes below the table">*</abbr>'


def table(made: Table) -> str:
    """A table for each section of `made`, each with its heading, the notes below them all."""
    shown = [_section(made, section) for section in made.sections]
    notes = "".join(f"<li>{escape(note)}</li>" for note in made.notes)
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
        f'<th scope="col"{_tint(group)}><button type="button">{escape(name)}</button></th>'
        for group, name in names
    )
    return f"<thead>{groups}<tr>{cells}</tr></thead>"


def scrollable(inner: str, name: str) -> str:
    """A wide table in a region of its own, which arrow keys scroll."""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(name)}">{inner}</div>'
    )


def figures(made: Sequence[Figure | None], caption: str, place: str = "") -> str:
    """Drawings side by side with one caption; "" where none could be drawn."""
    drawn = [figure for figure in made if figure is not None]
    if not drawn:
        return ""
    shown = "".join(
        f'<figure class="figure"><h4>{escape(each.title)}</h4>{each.inline()}</figure>'
        for each in drawn
    )
    return (
        f'<div class="figures"{at(place)}><div class="row">{shown}</div>'
        f'<p class="caption">{escape(caption)}</p></div>'
    )


def at(place: str) -> str:
    """The attribute by which the page's filter finds what belongs to a data set and protocol."""
    return f' data-place="{escape(place)}"' if place else ""


def _section(made: Table, section: Section) -> str:
    body = section.rows[: len(section.rows) - section.foot]
    foot = section.rows[len(body) :]
    tints = [_tint(group) for group, _ in made.columns]
    rows = "".join(_row(row, tints) for row in body)
    last = f"<tfoot>{''.join(_row(row, tints) for row in foot)}</tfoot>" if foot else ""
    name = f"{made.name}. {made.title}. {section.heading}"
    head = columns(made.columns)
    whole = f'<table class="sortable">{head}<tbody>{rows}</tbody>{last}</table>'
    return (
        f'<div{at(section.place)}><h4 class="where">{escape(section.heading)}</h4>'
        f"{scrollable(whole, name)}</div>"
    )


def _row(cells: list[Cell], tints: list[str]) -> str:
    first = f'<th scope="row">{_content(cells[0])}</th>'
    rest = "".join(f"<td{tint}>{_content(cell)}</td>" for cell, tint in zip(cells[1:], tints[1:]))
    return f"<tr>{first}{rest}</tr>"


def _content(cell: Cell) -> str:
    tag = {"best": "strong", "second": "u"}.get(cell.place)
    shown = escape(cell.text)
    return (f"<{tag}>{shown}</{tag}>" if tag else shown) + (MARK if cell.marked else "")


def _tint(group: str) -> str:
    return ' class="paper"' if group == "Paper" else ""
