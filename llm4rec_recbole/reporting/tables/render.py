"""A table as data, and its rendering in Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

import numpy as np

Rank = Literal["", "best", "second"]


@dataclass(frozen=True)
class Cell:
    """A number or a few words; the best of its column is bold, the second underlined."""

    text: str
    rank: Rank = ""
    marked: bool = False  # carries the significance mark


@dataclass(frozen=True)
class Section:
    """Rows under a heading of their own."""

    heading: str
    rows: list[list[Cell]]
    setting: str = ""  # data set and protocol
    groups: Mapping[int, str] = field(default_factory=dict)  # row → the group that begins there


@dataclass(frozen=True)
class Table:
    """Sections that share their columns; a column is (group, name), either may be empty."""

    name: str  # "Table I"; LaTeX numbers its tables itself
    label: str
    title: str
    columns: list[tuple[str, str]]
    sections: list[Section]
    notes: list[str] = field(default_factory=list)  # the caption, sentence by sentence
    text: bool = False  # all columns hold words, not numbers


def to_markdown(table: Table) -> str:
    """GitHub's Markdown: a table for each section, the caption below as a list."""
    lines = [f"# {escape_markdown(table.name)}. {escape_markdown(table.title)}", ""]
    for section in table.sections:
        lines += [f"## {escape_markdown(section.heading)}", ""]
        lines.append(
            _md_row([escape_markdown(f"{group} {name}".strip()) for group, name in table.columns])
        )
        right = "---" if table.text else "---:"
        lines.append(_md_row(["---", *[right] * (len(table.columns) - 1)]))
        for number, row in enumerate(section.rows):
            if number in section.groups:
                name = f"**{escape_markdown(section.groups[number])}**"
                lines.append(_md_row([name, *[""] * (len(row) - 1)]))
            lines.append(_md_row([_md_cell(cell) for cell in row]))
        lines.append("")
    lines += [f"- {escape_markdown(note)}" for note in table.notes]
    return "\n".join(lines) + "\n"


def to_latex(table: Table) -> str:
    """A `table*` for the booktabs package, the sections one below the other."""
    columns = len(table.columns)
    lines = [
        r"% Needs \usepackage{booktabs,graphicx}. Generated from run records and users files.",
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{_tex(table.title)}. {_tex(' '.join(table.notes))}}}",
        rf"\label{{{table.label}}}",
        r"\resizebox{\ifdim\width>\linewidth \linewidth\else \width\fi}{!}{%",  # as text at most
        rf"\begin{{tabular}}{{l{'r' * (columns - 1)}}}",
        r"\toprule",
        *_tex_groups([group for group, _ in table.columns]),
        " & ".join(_tex(name) for _, name in table.columns) + r" \\",
    ]
    for section in table.sections:
        heading = rf"\multicolumn{{{columns}}}{{l}}{{\textit{{{_tex(section.heading)}}}}} \\"
        lines += [r"\midrule", heading]
        for number, row in enumerate(section.rows):
            if number in section.groups:
                group = rf"\emph{{{_tex(section.groups[number])}}}"
                lines.append(rf"\multicolumn{{{len(row)}}}{{l}}{{{group}}} \\")
            lines.append(" & ".join(_tex_cell(cell) for cell in row) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}}", r"\end{table*}"]
    return "\n".join(lines) + "\n"


def _md_row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _md_cell(cell: Cell) -> str:
    text = escape_markdown(cell.text)
    text = {"": text, "best": f"**{text}**", "second": f"<ins>{text}</ins>"}[cell.rank]
    return text + (r"\*" if cell.marked else "")


#: Signs that Markdown reads as markup where they stand: code, emphasis, cells, links, images,
#: footnotes, HTML. An underscore inside a word and a lone bracket or parenthesis stay readable.
_MARKUP = re.compile(
    r"[\\|*`]|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[:])|\[(?=\^)|!(?=\[)|<(?=[\w/!?])|^\s*>"
)
#: Addresses that GitHub turns into links without any markup.
_AUTOLINK = re.compile(r"(https?|ftp|mailto)(:)|(?<!\w)(www)(\.)", re.IGNORECASE)


def escape_markdown(text: str) -> str:
    """`text` in one line, in which nothing is read as markup or as a link."""
    escaped = _MARKUP.sub(lambda match: "\\" + match[0].strip(), text)
    escaped = _AUTOLINK.sub(lambda m: "\\".join(part for part in m.groups() if part), escaped)
    return " ".join(escaped.replace("&", "&amp;").split())


def _tex_cell(cell: Cell) -> str:
    text = _tex(cell.text)
    command = {"best": r"\textbf", "second": r"\underline"}.get(cell.rank)
    return (f"{command}{{{text}}}" if command else text) + (r"$^{*}$" if cell.marked else "")


_TEX = {
    **{sign: "\\" + sign for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "–": "--",
    "—": "---",
}


def _tex(text: str) -> str:
    return " ".join("".join(_TEX.get(sign, sign) for sign in text).split())


def _tex_groups(groups: list[str]) -> list[str]:
    """The line of group names over the columns they span, and the rules below it."""
    names, rules, start = [], [], 1
    for group, columns in groupby(groups):
        width = len([*columns])
        if group:
            names.append(rf"\multicolumn{{{width}}}{{c}}{{{_tex(group)}}}")
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        else:
            names += [""] * width
        start += width
    return [" & ".join(names) + r" \\", "".join(rules)] if rules else []


def csv_text(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A table for programs: CSV with a header."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *lines])
    return text.getvalue()


# Cells and columns of numbers.

NONE = "–"  # no run
UNDEFINED = "n/a"  # a run, but its data set lacks what the number is made of
PLUS_MINUS = " ± "


def number(value: float | None, decimals: int, deviation: float | None = None) -> str | None:
    """`value` as a table shows it, with the standard deviation over seeds where there is one."""
    if value is None:
        return None
    text = f"{value:.{decimals}f}"
    return text if deviation is None else f"{text}{PLUS_MINUS}{deviation:.{decimals}f}"


def over_seeds(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Mean and standard deviation over the seeds.

    The mean is None where a seed has no value, or there is none; the deviation also for one seed.
    """
    numbers = [value for value in values if value is not None]
    if not numbers or len(numbers) < len(values):
        return None, None
    return float(np.mean(numbers)), float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None


def seeds_text(values: Sequence[float | None], decimals: int) -> str | None:
    """Mean ± standard deviation over the seeds; None where the mean is."""
    mean, deviation = over_seeds(values)
    return number(mean, decimals, deviation)


def column(
    shown: Sequence[str | None], *, smaller: bool = False, marks: Sequence[bool] = ()
) -> list[Cell]:
    """A column of numbers as shown, its best and second best (the `smaller` ones) marked.

    A text that is no number is shown as it is, and None as a dash.
    """
    values = [_float(text) for text in shown]
    marks = marks or [False] * len(shown)
    return [
        Cell(NONE if text is None else text, rank, mark)
        for text, rank, mark in zip(shown, _ranks(values, smaller), marks)
    ]


def _ranks(values: Sequence[float | None], smaller: bool) -> list[Rank]:
    """Best and second best as shown: equal to the last digit printed is equally good."""
    ranked = sorted({value for value in values if value is not None}, reverse=not smaller)
    ranks: dict[float | None, Rank] = dict(zip(ranked, ("best", "second")))
    return [ranks.get(value, "") for value in values]


def _float(text: str | None) -> float | None:
    return None if text is None or text == UNDEFINED else float(text.partition(PLUS_MINUS)[0])
