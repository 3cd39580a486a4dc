"""Accuracy in figures: by ranking, against cost or fairness, over the epochs of training."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from llm4rec_recbole.analysis.paper.paper_tables import NULL
from llm4rec_recbole.reporting.figures.svg import (
    Figure,
    Scale,
    horizontal_axis,
    label,
    line,
    line_styles,
    marker,
    method_class,
    padded_scale,
    polyline,
    rectangle,
    text,
    vertical_axis,
    width_of,
)
from llm4rec_recbole.reporting.tables.rows import AccuracySection, Row

RANKING_AXIS = {"full": "all items", "pop100": "100 popular", "uni100": "100 uniform"}
LEADER, KEY = 34.0, 26.0  # room for leader lines, and for a piece of each line before its name
Curve = list[tuple[float, float]]  # epoch, counted from 1, and value
Point2D = tuple[float, float]  # px


def rankings(name: str, section: AccuracySection, metric: str, metric_name: str) -> Figure | None:
    """Draw `metric` of every run in each ranking, under the name `metric_name`; None without runs.

    Nulls stand in the tables alone: their names leave no room for the rankings. The band is the
    range of the paper's numbers on its corresponding data set.
    """
    drawn = (row for row in section.rows if row.ours and row.group != NULL)
    rows = sorted(drawn, key=lambda row: row.ours["uni100", metric])
    if not rows:
        return None
    printed = [float(row.paper[metric]) for row in section.rows if metric in row.paper]
    values = [row.ours[ranking, metric] for row in rows for ranking in RANKING_AXIS]
    labels = [f"{row.method} {row.ours['uni100', metric]:.3f}" for row in rows]
    left, right = 34.0, 480.0 - width_of(labels) - 24.0
    top, bottom = 34.0, 380.0 - 30
    scale = padded_scale([0.0, *values, *printed], bottom, top, zero=True)
    step = (right - left - 36) / (len(RANKING_AXIS) - 1)
    columns = {ranking: left + 26 + step * n for n, ranking in enumerate(RANKING_AXIS)}
    parts = []
    if printed:
        low, high = min(printed), max(printed)
        parts.append(rectangle(left, scale(high), right - left, scale(low) - scale(high), "band"))
    parts.append(vertical_axis(scale, left, right, metric_name))
    if printed:
        printed_range = f"the paper: {low:.3f} to {high:.3f}"
        parts.append(text(left + 6, (scale(low) + scale(high)) / 2, printed_range, "quiet"))
    for ranking, x in columns.items():
        parts.append(text(x, 380.0 - 16, RANKING_AXIS[ranking], "tick", "middle"))
    positions = spread_apart([scale(r.ours["uni100", metric]) for r in rows], GAP, top, bottom)
    for row, row_label, y in zip(rows, labels, positions):
        points = [(x, scale(row.ours[ranking, metric])) for ranking, x in columns.items()]
        parts.append(polyline(points, f"path {method_class(row.method)}"))
        for (x, y_), ranking in zip(points, columns):
            hint = f"{row.method}: {row.ours[ranking, metric]:.3f}"
            parts.append(marker(x, y_, method_class(row.method), hint))
        parts.append(leader_label(row.method, points[-1], right + 24.0, y))
        parts.append(text(right + 24.0, y, row_label, label_class(row.method)))
    title = f"{metric_name} of the same runs, ranked among all items and among 100 sampled ones"
    alt = _rankings_alt(section, rows, metric, metric_name, printed)
    return Figure(name, title, alt, 480.0, 380.0, "".join(parts))


def _rankings_alt(
    section: AccuracySection, rows: list[Row], metric: str, metric_name: str, printed: list[float]
) -> str:
    ranges = []
    for ranking, name in RANKING_AXIS.items():
        values = [row.ours[ranking, metric] for row in rows]
        ranges.append(f"{min(values):.3f} to {max(values):.3f} among {name}")
    paper = f" The paper prints {min(printed):.3f} to {max(printed):.3f}." if printed else ""
    return (
        f"{metric_name} of {len(rows)} methods on {section.setting}: {', '.join(ranges)} "
        f"negatives.{paper}"
    ).replace("all items negatives", "all items")


@dataclass(frozen=True)
class Point:
    """One method."""

    method: str
    x: float
    y: float


def scatter(
    name: str, title: str, x_name: str, y_name: str, points: list[Point], log: bool = False
) -> Figure | None:
    """Draw `points`, with a logarithmic x axis if `log`; None without points.

    A logarithmic axis leaves out points at 0; the alternative text names them.
    """
    drawn = [p for p in points if p.x > 0 or not log]
    if not drawn:
        return None
    left, right, top, bottom = 40.0, 480.0 - 12, 26.0, 330.0 - 40
    across = padded_scale([p.x for p in drawn], left + 10, right - 10, log=log)
    up = padded_scale([p.y for p in drawn], bottom, top, zero=True)
    parts = [vertical_axis(up, left, right, y_name), horizontal_axis(across, top, bottom, x_name)]
    positions = [(across(p.x), up(p.y)) for p in drawn]
    occupied: list[Box] = [box_around(x, y) for x, y in positions]
    for point, (x, y) in zip(drawn, positions):
        parts.append(place_label(point.method, x, y, occupied, right))
        hint = f"{point.method}: {x_name} {label(point.x)}, {y_name} {point.y:.3f}"
        parts.append(marker(x, y, method_class(point.method), hint))
    description = "; ".join(f"{p.method} {label(round(p.x, 4))} and {p.y:.3f}" for p in drawn)
    left_out = [p.method for p in points if p not in drawn]
    description += f". Left out, being 0: {', '.join(left_out)}" if left_out else ""
    alt = f"Scatter plot, {title}: {x_name} and {y_name}. {description}."
    return Figure(name, title, alt, 480.0, 330.0, "".join(parts))


def curves(name: str, title: str, y_name: str, runs: dict[str, Curve]) -> Figure | None:
    """A line for each of `runs`, method -> curve; epochs on a logarithmic axis; None without any.

    The best epoch, the one whose weights are kept, has a mark; a run of one epoch is a mark alone.
    Lines differ in colour and in dashes, so that they can be followed in greyscale, too.
    """
    runs = {method: curve for method, curve in runs.items() if curve}
    if not runs:
        return None
    lines = {method: curve for method, curve in runs.items() if len(curve) > 1}
    left, right = 40.0, 640.0 - width_of([*lines]) - KEY - LEADER
    top, bottom = 26.0, 360.0 - 40
    everything = [point for curve in runs.values() for point in curve]
    across = padded_scale([x for x, _ in everything], left + 8, right - 8, log=True)
    up = padded_scale([y for _, y in everything], bottom, top, zero=True)
    drawn = {m: [(across(x), up(y)) for x, y in curve] for m, curve in runs.items()}
    styles = line_styles([*lines])
    parts = [vertical_axis(up, left, right, y_name), horizontal_axis(across, top, bottom, "epoch")]
    parts += [polyline(drawn[m], f"path {method_class(m)} {styles[m]}".rstrip()) for m in lines]
    positions = spread_apart([drawn[method][-1][1] for method in lines], GAP, top, bottom)
    for method, y in zip(lines, positions):
        parts.append(leader_label(method, drawn[method][-1], right + LEADER, y, styles[method]))
        parts.append(_key(method, right + LEADER, y, styles[method]))
    parts += [_best(m, curve, across, up, styles.get(m, "")) for m, curve in runs.items()]
    occupied = [box for points in drawn.values() for box in _covered(points)]
    parts += [place_label(m, *drawn[m][0], occupied, right) for m in runs if m not in lines]
    best = {method: _top(curve) for method, curve in runs.items()}
    texts = [f"{m} reaches {value:.3f} after epoch {epoch:g}" for m, (epoch, value) in best.items()]
    alt = f"Line plot, {title}. {'; '.join(texts)}."
    return Figure(name, title, alt, 640.0, 360.0, "".join(parts))


def _key(method: str, x: float, y: float, line_style: str) -> str:
    """A piece of the method's line, and its name."""
    css = f"path {method_class(method)} {line_style}".rstrip()
    return polyline([(x, y), (x + KEY - 5, y)], css) + text(x + KEY, y, method, label_class(method))


def _best(method: str, curve: Curve, across: Scale, up: Scale, line_style: str) -> str:
    epoch, value = _top(curve)
    hint = f"{method}: {value:.4f} after epoch {epoch:g} of {curve[-1][0]:g}"
    return marker(across(epoch), up(value), method_class(method), hint, line_style=line_style)


def _top(curve: Curve) -> tuple[float, float]:
    return max(curve, key=lambda point: point[1])


def _covered(points: list[Point2D]) -> list[Box]:
    """What a line covers: small boxes along it."""
    boxes = [box_around(*points[0])]
    for (x1, y1), (x2, y2) in pairwise(points):
        steps = int(max(abs(x2 - x1), abs(y2 - y1)) // 6) + 1
        boxes += [
            box_around(x1 + (x2 - x1) * n / steps, y1 + (y2 - y1) * n / steps, 3)
            for n in range(1, steps + 1)
        ]
    return boxes


# Labels: next to a point, or connected to the end of a line.


Box = tuple[float, float, float, float]  # left, top, right, bottom
GAP = 14.0  # from one name to the next below it


def box_around(x: float, y: float, reach: float = 6.0) -> Box:
    """The box of a mark at (x, y)."""
    return (x - reach, y - reach, x + reach, y + reach)


def place_label(name: str, x: float, y: float, taken: list[Box], right: float) -> str:
    """The label of the point at (x, y), where it covers least of `taken`, which gets its box."""
    box, anchor = _room(name, x, y, taken, right)
    taken.append(box)
    at = {"start": box[0], "end": box[2], "middle": (box[0] + box[2]) / 2}[anchor]
    return text(at, (box[1] + box[3]) / 2, name, label_class(name), anchor)


def leader_label(
    name: str, end: tuple[float, float], x: float, y: float, line_style: str = ""
) -> str:
    """A thin line from the `end` of a line to (x, y), where the method's label begins."""
    return line(end[0], end[1], x - 4, y, f"leader {method_class(name)} {line_style}".rstrip())


def label_class(method: str) -> str:
    """The class of a method's name."""
    return "ours" if method_class(method) == "ours" else ""


def spread_apart(positions: list[float], gap: float, low: float, high: float) -> list[float]:
    """`positions` moved as little as possible, so that no two are closer than `gap`; order stays.

    They stay within low..high if they fit. A crowded group is spread about its own middle.
    """
    order = sorted(range(len(positions)), key=positions.__getitem__)
    blocks: list[list[float]] = []  # positions less the gaps above them; a block's share one mean
    for n, i in enumerate(order):
        blocks.append([positions[i] - n * gap])
        while len(blocks) > 1 and fmean(blocks[-2]) > fmean(blocks[-1]):
            below = blocks.pop()
            blocks[-1] += below
    middles = [fmean(block) for block in blocks for _ in block]
    last = high - (len(positions) - 1) * gap
    moved = [0.0] * len(positions)
    for n, (i, middle) in enumerate(zip(order, middles)):
        moved[i] = min(max(middle, low), last) + n * gap
    return moved


def _room(word: str, x: float, y: float, taken: list[Box], right: float) -> tuple[Box, str]:
    """Where the name of the point at (x, y) covers least: right, left, above or below of it."""
    w, h = width_of([word]), 13.0
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
