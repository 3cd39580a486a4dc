"""What every figure is made of: elements as strings, and a `Figure` that holds them.

Colours and fonts are classes of figure.css, so that one drawing follows light, dark and print.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

STYLE = Path(__file__).with_name("figure.css")
SIZE = 12.0  # of the type, px
# How wide a character may be, in ems: bold ones of DejaVu Sans, the widest of common typefaces.
NARROW, WIDE = set(" .,:;'|!()[]ijltfrIJ"), set("mwMW%@")


@dataclass(frozen=True)
class Figure:
    """A drawing of `width` by `height` px; `alt` says in words what it shows."""

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


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line of class `kind`."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def polyline(points: list[tuple[float, float]], kind: str) -> str:
    """A line through `points`."""
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def rectangle(x: float, y: float, width: float, height: float, kind: str) -> str:
    """A rectangle whose corner (x, y) is the upper left; a negative width goes to the left."""
    x, width = (x + width, -width) if width < 0 else (x, width)
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    )


def text(x: float, y: float, said: str, kind: str = "", anchor: str = "start") -> str:
    """One line of text, its middle height at `y`; anchor: start, middle or end."""
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" dy=".35em" text-anchor="{anchor}">'
        f"{escape(said, quote=False)}</text>"
    )


def mark(
    x: float, y: float, kind: str, hint: str = "", *, hollow: bool = False, line_style: str = ""
) -> str:
    """A point whose shape, not colour alone, tells its kind; `hint` shows under the pointer.

    ours: a diamond; paper: a disc; reference: a square. Hollow ones have no filling. On a line
    that is told apart by its `line_style`, the point has the line's colour.
    """
    classes = f"mark {kind}{' hollow' if hollow else ''} {line_style}".rstrip()
    if kind == "ours":
        shape = f'<path class="{classes}" d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6-6z"/>'
    elif kind == "reference":
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
