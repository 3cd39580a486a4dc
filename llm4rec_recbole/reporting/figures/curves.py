"""Training curves: validation NDCG@10 over the epochs, a line a run, tied to its name."""

from __future__ import annotations

from itertools import pairwise

from llm4rec_recbole.reporting.figures.label_placement import (
    GAP,
    Box,
    box_around,
    label_class,
    leader_label,
    place_label,
    spread_apart,
)
from llm4rec_recbole.reporting.figures.svg import (
    Figure,
    Scale,
    horizontal_axis,
    line_styles,
    marker,
    method_class,
    padded_scale,
    polyline,
    text,
    vertical_axis,
    width_of,
)

WIDTH, HEIGHT = 640.0, 360.0
TIE, KEY = 34.0, 26.0  # room for the ties, and for a piece of each line before its name
Curve = list[tuple[float, float]]  # epoch, counted from 1, and value
Place = tuple[float, float]  # px


def curves(name: str, title: str, y_name: str, runs: dict[str, Curve]) -> Figure | None:
    """A line for each of `runs`, method -> curve; epochs on a logarithmic axis; None without any.

    The best epoch, the one whose weights are kept, has a mark; a run of one epoch is a mark alone.
    Lines differ in colour and in dashes, so that they can be followed in greyscale, too.
    """
    runs = {method: curve for method, curve in runs.items() if curve}
    if not runs:
        return None
    lines = {method: curve for method, curve in runs.items() if len(curve) > 1}
    left, right = 40.0, WIDTH - width_of([*lines]) - KEY - TIE
    top, bottom = 26.0, HEIGHT - 40
    everything = [point for curve in runs.values() for point in curve]
    across = padded_scale([x for x, _ in everything], left + 8, right - 8, log=True)
    up = padded_scale([y for _, y in everything], bottom, top, zero=True)
    drawn = {m: [(across(x), up(y)) for x, y in curve] for m, curve in runs.items()}
    styles = line_styles([*lines])
    parts = [vertical_axis(up, left, right, y_name), horizontal_axis(across, top, bottom, "epoch")]
    parts += [polyline(drawn[m], f"path {method_class(m)} {styles[m]}".rstrip()) for m in lines]
    places = spread_apart([drawn[method][-1][1] for method in lines], GAP, top, bottom)
    for method, y in zip(lines, places):
        parts.append(leader_label(method, drawn[method][-1], right + TIE, y, styles[method]))
        parts.append(_key(method, right + TIE, y, styles[method]))
    parts += [_best(m, curve, across, up, styles.get(m, "")) for m, curve in runs.items()]
    taken = [box for points in drawn.values() for box in _covered(points)]
    parts += [place_label(m, *drawn[m][0], taken, right) for m in runs if m not in lines]
    return Figure(
        name=name,
        title=title,
        alt=f"Line plot, {title}. {'; '.join(_said(*run) for run in runs.items())}.",
        width=WIDTH,
        height=HEIGHT,
        body="".join(parts),
    )


def _key(method: str, x: float, y: float, line_style: str) -> str:
    """A piece of the method's line, and its name."""
    piece = polyline(
        [(x, y), (x + KEY - 5, y)], f"path {method_class(method)} {line_style}".rstrip()
    )
    return piece + text(x + KEY, y, method, label_class(method))


def _best(method: str, curve: Curve, across: Scale, up: Scale, line_style: str) -> str:
    epoch, value = _top(curve)
    hint = f"{method}: {value:.4f} after epoch {epoch:g} of {curve[-1][0]:g}"
    return marker(across(epoch), up(value), method_class(method), hint, line_style=line_style)


def _said(method: str, curve: Curve) -> str:
    epoch, value = _top(curve)
    return f"{method} reaches {value:.3f} after epoch {epoch:g}"


def _top(curve: Curve) -> tuple[float, float]:
    return max(curve, key=lambda point: point[1])


def _covered(points: list[Place]) -> list[Box]:
    """What a line covers: small boxes along it."""
    boxes = [box_around(*points[0])]
    for (x1, y1), (x2, y2) in pairwise(points):
        steps = int(max(abs(x2 - x1), abs(y2 - y1)) // 6) + 1
        boxes += [
            box_around(x1 + (x2 - x1) * n / steps, y1 + (y2 - y1) * n / steps, 3)
            for n in range(1, steps + 1)
        ]
    return boxes
