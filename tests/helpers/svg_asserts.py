"""Reads a figure back as a reader does: marks and lines against the axes' own tick labels."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from xml.etree import ElementTree

from llm4rec_recbole.reporting.figures.svg import Figure

SPACE = "{http://www.w3.org/2000/svg}"
Place = tuple[float, float]
Element = ElementTree.Element


class Drawn:
    """The elements of a figure."""

    def __init__(self, figure: Figure | None) -> None:
        assert figure is not None
        self.alt = figure.alt
        self.root = ElementTree.fromstring(figure.standalone())

    def each(self, tag: str, *classes: str) -> list[Element]:
        """Elements that have all of `classes`, in the order they are drawn."""
        return [e for e in self.root.iter(SPACE + tag) if {*classes} <= {*_classes(e)}]

    def names(self) -> dict[str, Element]:
        """What is written in the figure, axes apart."""
        return {e.text or "": e for e in self.each("text") if "tick" not in _classes(e)}

    def marks(self) -> dict[str, Element]:
        """The marks that say what they are under the pointer, by the first word of it."""
        groups = self.root.iter(f"{SPACE}g")
        return {(g.findtext(f"{SPACE}title") or "").split(": ")[0]: g[0] for g in groups}

    def hints(self) -> list[str]:
        return [g.findtext(f"{SPACE}title") or "" for g in self.root.iter(f"{SPACE}g")]

    def across(self, *, log: bool = False) -> Callable[[float], float]:
        """From px to a value of the x axis."""
        return _axis([t for t in self.each("text", "tick") if t.get("text-anchor") == "middle"],
                     "x", log)  # fmt: skip

    def up(self) -> Callable[[float], float]:
        """From px to a value of the y axis."""
        return _axis([t for t in self.each("text", "tick") if t.get("text-anchor") == "end"],
                     "y", False)  # fmt: skip


def middle(mark: Element) -> Place:
    """Where a mark stands."""
    if mark.tag == f"{SPACE}circle":
        return number(mark, "cx"), number(mark, "cy")
    if mark.tag == f"{SPACE}rect":
        return number(mark, "x") + 4, number(mark, "y") + 4
    found = re.match(r"M([\d.-]+) ([\d.-]+)l6 6", mark.get("d") or "")
    assert found
    return float(found[1]), float(found[2]) + 6


def points(line: Element) -> list[Place]:
    """The corners of a polyline."""
    pairs = (pair.split(",") for pair in (line.get("points") or "").split())
    return [(float(x), float(y)) for x, y in pairs]


def number(element: Element, name: str) -> float:
    return float(element.get(name) or "nan")


def _classes(element: Element) -> list[str]:
    return (element.get("class") or "").split()


def _axis(ticks: list[Element], side: str, log: bool) -> Callable[[float], float]:
    """Through the first and the last tick; the others have to lie on it."""
    f = math.log10 if log else float
    known = [
        (number(tick, side), f(float((tick.text or "").replace("−", "-").replace(" ", ""))))
        for tick in ticks
    ]
    (a, low), (b, high) = known[0], known[-1]
    assert a != b

    def value(px: float) -> float:
        found = low + (high - low) * (px - a) / (b - a)
        return 10**found if log else found

    for px, shown in known:
        assert abs((math.log10(value(px)) if log else value(px)) - shown) < 0.01 * abs(high - low)
    return value
