"""Cells, columns and CSV lines, as all tables of methods have them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from llm4rec_recbole.analysis import printed
from llm4rec_recbole.reporting.accuracy_rows import AccuracySection, Row
from llm4rec_recbole.reporting.formats import Cell, Place

NONE = "–"  # no run
UNDEFINED = "n/a"  # a run, but its data set lacks what the number is made of


def number(value: float | None, decimals: int) -> str | None:
    """`value` as a table shows it."""
    return None if value is None else f"{value:.{decimals}f}"


def column(
    shown: Sequence[str | None], *, smaller: bool = False, marks: Sequence[bool] = ()
) -> list[Cell]:
    """A column of numbers as shown, its best and second best (the `smaller` ones) told apart.

    What is no number is shown as it is, None as a dash.
    """
    values = [_float(text) for text in shown]
    marks = marks or [False] * len(shown)
    return [
        Cell(NONE if text is None else text, place, mark)
        for text, place, mark in zip(shown, _places(values, smaller), marks)
    ]


def _places(values: Sequence[float | None], smaller: bool) -> list[Place]:
    """Best and second best as shown: equal to the last digit printed is equally good."""
    ranked = sorted({value for value in values if value is not None}, reverse=not smaller)
    places: dict[float | None, Place] = dict(zip(ranked, ("best", "second")))
    return [places.get(value, "") for value in values]


def _float(text: str | None) -> float | None:
    return None if text is None or text == UNDEFINED else float(text)


def which_row(section: AccuracySection, row: Row) -> dict[str, str | int]:
    """The columns with which each line of a table's CSV begins and ends."""
    return {
        "dataset": section.dataset,
        "stands_for": printed.STANDS_FOR.get(section.dataset, ""),
        "protocol": section.protocol,
        "users": section.users,
        "row": row.label,
        "method": row.method,
        "seeds": len(row.records),
        "status": row.status,
    }


def to_csv_text(names: Sequence[str], rows: Sequence[dict[str, str | int]]) -> str:
    """CSV of `rows`, each `which_row` and values under `names`, empty where there is none."""
    first = ["dataset", "stands_for", "protocol", "users", "row", "method"]
    text = io.StringIO()
    writer = csv.DictWriter(
        text, [*first, *names, "seeds", "status"], restval="", lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
