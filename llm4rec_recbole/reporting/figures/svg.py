"""Figures as SVG text: styles of methods, elements, scales and axes.

Colours and fonts are classes of figure.css. One drawing therefore follows light, dark and print.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from pathlib import Path

from llm4rec_recbole.analysis.paper.paper_tables import OURS, REFERENCES

HUES, DASHES = 6, 7  # classes hue0, hue1, … and dash0, dash1, … of figure.css


def method_class(method: str) -> str:
    """The CSS class of a method: ours, reference (or any that the paper lacks), or paper."""
    return "ours" if method == OURS else "reference" if method in REFERENCES else "paper"


def line_styles(methods: list[str]) -> dict[str, str]:
    """A colour and a pattern of dashes for each of `methods`, no two alike up to 42 of them.

    Ours, thicker than the others in its own colour, has none.
    """
    others = [method for method in methods if method_class(method) != "ours"]
    styles = {m: f"hue{n % HUES} dash{n % DASHES}" for n, m in enumerate(others)}
    return {method: styles.get(method, "") for method in methods}


STYLE = Path(__file__).with_name("figure.css")
SIZE = 12.0  # of the type, px
# How wide a character may be, in ems: bold ones of DejaVu Sans, the widest of common typefaces.
NARROW, WIDE = set(" .,:;'|!()[]ijltfrIJ"), set("mwMW%@")


@dataclass(frozen=True)
class Figure:
    """A drawing of `width` by `height` px; `alt` describes it in words."""

    name: str
    title: str
    alt: str
    width: float
    height: float
    body: str

    def inline(self) -> str:
        """For a page that has figure.css."""
        return f'<svg role="img" aria-label="{escape(self.alt)}" {self._size()}>{self.body}</svg>'

    def standalone(self) -> str:
        """A file of its own, readable on a light and on a dark page."""
        style = STYLE.read_text(encoding="utf-8")
        paper = f'<rect class="sheet" width="{self.width:g}" height="{self.height:g}"/>'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="figure" role="img" {self._size()}>\n'
            f"<title>{escape(self.title)}</title>\n<desc>{escape(self.alt)}</desc>\n"
            f"<style>\n{style}</style>\n{paper}\n{self.body}\n</svg>\n"
        )

    def _size(self) -> str:
        return (
            f'viewBox="0 0 {self.width:g} {self.height:g}" '
            f'width="{self.width:g}" height="{self.height:g}"'
        )


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """A straight line of CSS class `css`."""
    return f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def polyline(points: list[tuple[float, float]], css: str) -> str:
    """A line through `points`."""
    return f'<polyline class="{css}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def rectangle(x: float, y: float, width: float, height: float, css: str) -> str:
    """A rectangle whose corner (x, y) is the upper left; a negative width goes to the left."""
    x, width = (x + width, -width) if width < 0 else (x, width)
    return (
        f'<rect class="{css}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    )


def text(x: float, y: float, words: str, css: str = "", anchor: str = "start") -> str:
    """One line of text, its middle height at `y`; anchor: start, middle or end."""
    return (
        f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" dy=".35em" text-anchor="{anchor}">'
        f"{escape(words, quote=False)}</text>"
    )


def marker(
    x: float, y: float, css: str, hint: str = "", *, hollow: bool = False, line_style: str = ""
) -> str:
    """A point; shape and colour show its class. `hint` appears under the pointer.

    ours: a diamond; paper: a disc; reference: a square. Hollow marks are not filled. With a
    `line_style` the point has the colour of its line.
    """
    classes = f"mark {css}{' hollow' if hollow else ''} {line_style}".rstrip()
    if css == "ours":
        shape = f'<path class="{classes}" d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6-6z"/>'
    elif css == "reference":
        shape = (
            f'<rect class="{classes}" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" rx="1"/>'
        )
    else:
        shape = f'<circle class="{classes}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
    return f"<g>{shape}<title>{escape(hint, quote=False)}</title></g>" if hint else shape


def width_of(words: list[str]) -> float:
    """Width in px that the longest of `words` may have, bold or not, in the figures' type."""
    return SIZE * max((sum(map(_ems, word)) for word in words), default=0.0)


def _ems(sign: str) -> float:
    if sign in NARROW:
        return 0.5
    return 1.1 if sign in WIDE else 0.85 if sign.isupper() or sign in "+−=" else 0.72


# Axes: from values to px, and round numbers to label them with.


@dataclass(frozen=True)
class Scale:
    """Values low..high, low < high, over start..stop px; logarithmic ones are above 0."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, v = (self._f(x) for x in (self.low, self.high, value))
        return self.start + (self.stop - self.start) * (v - low) / (high - low)

    def ticks(self) -> list[float]:
        """About five round values within the scale."""
        if self.log and self.high > 4 * self.low:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            is_short = math.log10(self.high / self.low) < 2
            ticks = [m * 10.0**d for d in decades for m in ((1, 2, 5) if is_short else (1,))]
            return [v for v in ticks if self.low <= v <= self.high]
        raw = (self.high - self.low) / 5
        size = 10 ** math.floor(math.log10(raw))
        step = next(m * size for m in (1, 2, 5, 10) if m * size >= raw)
        first = math.ceil(self.low / step - 1e-9)
        return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def _f(self, value: float) -> float:
        return math.log10(value) if self.log else value


def padded_scale(
    values: list[float], start: float, stop: float, *, zero: bool = False, log: bool = False
) -> Scale:
    """A scale over `values`, with some room on both sides; from 0 on where `zero`."""
    low, high = min(values), max(values)
    if log:
        room = max((high / low) ** 0.08, 1.1)
        return Scale(low / room, high * room, start, stop, log=True)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return Scale(0.0 if zero and low >= 0 else low - room, high + room, start, stop)


def label(value: float) -> str:
    """A tick as short as it can be written."""
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 1000 else f"{value:.6g}"


def named_ticks(scale: Scale) -> list[tuple[float, str]]:
    """The ticks and their labels: all with equally many decimals, except for 0 and powers."""
    ticks = scale.ticks()
    names = [label(tick) for tick in ticks]
    if not scale.log and (decimals := max((len(n.partition(".")[2]) for n in names), default=0)):
        names = [f"{tick:.{decimals}f}" for tick in ticks]
    return [
        (tick, "0" if abs(tick) <= 1e-12 else name.replace("-", "−"))
        for tick, name in zip(ticks, names)
    ]


def horizontal_axis(
    scale: Scale, top: float, bottom: float, name: str, signed: bool = False
) -> str:
    """Grid lines, tick labels below `bottom`, and the axis' name below these."""
    parts = []
    for tick, tick_label in named_ticks(scale):
        tick_label = f"+{tick_label}" if signed and tick > 1e-12 else tick_label
        parts.append(line(scale(tick), top, scale(tick), bottom, "grid"))
        parts.append(text(scale(tick), bottom + 12, tick_label, "tick", "middle"))
    parts.append(text((scale.start + scale.stop) / 2, bottom + 30, name, "axis", "middle"))
    return "".join(parts)


def vertical_axis(scale: Scale, left: float, right: float, name: str) -> str:
    """Grid lines, tick labels left of `left`, and the axis' name above the topmost."""
    parts = [text(0, scale.stop - 16, name, "axis")]
    for tick, tick_label in named_ticks(scale):
        parts.append(line(left, scale(tick), right, scale(tick), "grid"))
        parts.append(text(left - 6, scale(tick), tick_label, "tick", "end"))
    return "".join(parts)
