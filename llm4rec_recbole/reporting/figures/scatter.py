"""Scatter plot whose points carry their names: accuracy against cost, or against fairness."""

from __future__ import annotations

from dataclasses import dataclass

from llm4rec_recbole.reporting.figures.kinds import kind
from llm4rec_recbole.reporting.figures.scale import covering, horizontal_axis, label, vertical_axis
from llm4rec_recbole.reporting.figures.svg import CHARACTER, Figure, mark, text

WIDTH, HEIGHT = 480.0, 330.0
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Point:
    """One method."""

    method: str
    x: float
    y: float


def scatter(
    name: str, title: str, x_name: str, y_name: str, points: list[Point], log: bool = False
) -> Figure | None:
    """`points` with the x axis logarithmic where `log`; None without any point to draw.

    A logarithm needs values above 0: points without are left out, and the alternative text says so.
    """
    drawn = [p for p in points if p.x > 0 or not log]
    if not drawn:
        return None
    left, right, top, bottom = 40.0, WIDTH - 12, 26.0, HEIGHT - 40
    across = covering([p.x for p in drawn], left + 10, right - 10, log=log)
    up = covering([p.y for p in drawn], bottom, top, zero=True)
    parts = [vertical_axis(up, left, right, y_name), horizontal_axis(across, top, bottom, x_name)]
    places = [(across(p.x), up(p.y)) for p in drawn]
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in places]
    for point, (x, y) in zip(drawn, places):
        box, anchor = _room(point.method, x, y, taken, right)
        taken.append(box)
        at = {"start": box[0], "end": box[2], "middle": (box[0] + box[2]) / 2}[anchor]
        shown = "ours" if kind(point.method) == "ours" else ""
        parts.append(text(at, (box[1] + box[3]) / 2, point.method, shown, anchor))
        hint = f"{point.method}: {x_name} {label(point.x)}, {y_name} {point.y:.3f}"
        parts.append(mark(x, y, kind(point.method), hint))
    said = "; ".join(f"{p.method} {label(round(p.x, 4))} and {p.y:.3f}" for p in drawn)
    left_out = [p.method for p in points if p not in drawn]
    said += f". Left out, being 0: {', '.join(left_out)}" if left_out else ""
    return Figure(
        name=name,
        title=title,
        alt=f"Scatter plot, {title}: {x_name} and {y_name}. {said}.",
        width=WIDTH,
        height=HEIGHT,
        body="".join(parts),
    )


def _room(word: str, x: float, y: float, taken: list[Box], right: float) -> tuple[Box, str]:
    """Where the name of the point at (x, y) covers least: right, left, above or below of it."""
    w, h = CHARACTER * len(word), 13.0
    choices: list[tuple[Box, str]] = [
        ((x + 9, y - h / 2, x + 9 + w, y + h / 2), "start"),
        ((x - 9 - w, y - h / 2, x - 9, y + h / 2), "end"),
        ((x - w / 2, y - 9 - h, x + w / 2, y - 9), "middle"),
        ((x - w / 2, y + 9, x + w / 2, y + 9 + h), "middle"),
    ]

    def covered(choice: tuple[Box, str]) -> float:
        box = choice[0]
        outside = max(0.0, box[2] - right) + max(0.0, -box[0])
        return 1000 * outside + sum(_overlap(box, other) for other in taken)

    return min(choices, key=covered)


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
