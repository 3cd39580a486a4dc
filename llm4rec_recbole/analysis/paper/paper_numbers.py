"""The paper's printed numbers, and which of its data sets ours stands in for."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from llm4rec_recbole.errors import InputError

# Our data set -> the paper's, as the columns of the printed tables call it.
STANDS_FOR = {
    "ml-100k": "ml-25m",
    "ml-latest-small": "ml-25m",
    "ml-1m": "ml-25m",
    "ml-25m": "ml-25m",
    "amazon-electronics": "amazon-electronics",
    "yelp-2023": "yelp-2023",
}
NAMES = {
    "ml-25m": "MovieLens-25M",
    "amazon-electronics": "Amazon-Electronics",
    "yelp-2023": "Yelp-2023",
}


def read(path: Path) -> dict[tuple[str, str], str]:
    """Return (row label, column) -> the paper's cell, in the paper's order.

    The first column has the labels. Raises InputError if the file is missing or a row has more or
    fewer cells than the header.
    """
    printed: dict[tuple[str, str], str] = {}
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            _, *columns = next(rows)
            for label, *cells in rows:
                if len(cells) != len(columns):
                    raise InputError("not as many cells as columns", file=path, line=rows.line_num)
                printed |= {(label, column): cell for column, cell in zip(columns, cells)}
    except (FileNotFoundError, StopIteration, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("not a table of the paper", file=path) from error
    return printed


def heading(dataset: str) -> str:
    """The data set our numbers are for, and the paper's that it stands in for."""
    paper = STANDS_FOR.get(dataset)
    if paper is None:
        return f"{dataset} (not in the paper)"
    return f"{dataset} (the paper: {NAMES[paper]})" if paper == dataset else (
        f"{dataset}, standing in for the paper's {NAMES[paper]}"
    )  # fmt: skip


# The paper's percentages worked out again from its own printed numbers, rounding considered.
#
# A printed number stands for anything that rounds to it: 0.718 for 0.7175 to 0.7185. So a gain is
# known as an interval, and where a printed percentage is not the one that the printed numbers give,
# the interval says whether rounding alone can be the reason.


@dataclass(frozen=True)
class Gain:
    """A change in per cent: from the printed numbers, and the least and most they can stand for."""

    percent: Decimal
    low: Decimal
    high: Decimal

    def equals(self, printed: str) -> bool:
        """Do the printed numbers give `printed`, such as "+0.9%", to its last digit?"""
        claimed = per_cent(printed)
        return self.percent.quantize(claimed, ROUND_HALF_UP) == claimed

    def allows(self, printed: str) -> bool:
        """Can numbers that round to the printed ones give a change that rounds to `printed`?"""
        claimed, half = per_cent(printed), _half_unit(per_cent(printed))
        return self.low <= claimed + half and self.high >= claimed - half

    def __str__(self) -> str:
        return f"{self.percent.quantize(Decimal('0.01'), ROUND_HALF_UP):+} %"


def per_cent(printed: str) -> Decimal:
    """The number in "+0.9%". Raises decimal.InvalidOperation when there is none."""
    return Decimal(printed.rstrip("% "))


def gain(new: str, old: str) -> Gain:
    """How much larger `new` is than `old`, both as printed."""
    a, b = Decimal(new), Decimal(old)
    half_a, half_b = _half_unit(a), _half_unit(b)
    return Gain(
        100 * (a / b - 1),
        100 * ((a - half_a) / (b + half_b) - 1),
        100 * ((a + half_a) / (b - half_b) - 1),
    )


def compounded(printed: Sequence[str]) -> Gain:
    """One gain after another, such as those of the components that Table V lists."""
    product = low = high = Decimal(1)
    for text in printed:
        value, half = per_cent(text), _half_unit(per_cent(text))
        product *= 1 + value / 100
        low *= 1 + (value - half) / 100
        high *= 1 + (value + half) / 100
    return Gain(100 * (product - 1), 100 * (low - 1), 100 * (high - 1))


def _half_unit(number: Decimal) -> Decimal:
    """Half a unit of the last printed digit."""
    return Decimal((0, (5,), int(number.as_tuple().exponent) - 1))
