"""Scatter plot whose points carry their names: accuracy against cost, or against fairness."""

from __future__ import annotations

from dataclasses import dataclass

from llm4rec_recbole.reporting.figures.label_placement import Box, box_around, place_label
from llm4rec_recbole.reporting.figures.svg import (
    Figure,
    horizontal_axis,
    label,
    marker,
    method_class,
    padded_scale,
    vertical_axis,
)

WIDTH, HEIGHT = 480.0, 330.0


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
    across = padded_scale([p.x for p in drawn], left + 10, right - 10, log=log)
    up = padded_scale([p.y for p in drawn], bottom, top, zero=True)
    parts = [vertical_axis(up, left, right, y_name), horizontal_axis(across, top, bottom, x_name)]
    places = [(across(p.x), up(p.y)) for p in drawn]
    taken: list[Box] = [box_around(x, y) for x, y in places]
    for point, (x, y) in zip(drawn, places):
        parts.append(place_label(point.method, x, y, taken, right))
        hint = f"{point.method}: {x_name} {label(point.x)}, {y_name} {point.y:.3f}"
        parts.append(marker(x, y, method_class(point.method), hint))
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
