"""The figures: accuracy by ranking and over the epochs, and forest plots of differences.

A forest plot has a row for each baseline or data set, with a difference and its interval:

    SASRec   |      ░░░░░──●──░░ |   +0.013 [+0.001, +0.025]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from llm4rec_recbole.analysis.paired_tests import Comparison
from llm4rec_recbole.analysis.paper.paper_tables import NULL, OURS
from llm4rec_recbole.analysis.pooling import Gains, gain_text
from llm4rec_recbole.analysis.significance import LEVEL, NORMAL_95
from llm4rec_recbole.reporting.figures.svg import (
    Figure,
    Scale,
    horizontal_axis,
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


def curves(name: str, title: str, y_name: str, runs: dict[str, Curve]) -> Figure | None:
    """A line for each of `runs`, method -> curve; epochs on a logarithmic axis; None without any.

    The best epoch, whose weights are tested, has a mark. A run that was validated once has no line.
    Lines differ in colour and in dashes, so that they can be followed in greyscale, too.
    """
    runs = {method: curve for method, curve in runs.items() if len(curve) > 1}
    if not runs:
        return None
    left, right = 40.0, 640.0 - width_of([*runs]) - KEY - LEADER
    top, bottom = 26.0, 360.0 - 40
    everything = [point for curve in runs.values() for point in curve]
    across = padded_scale([x for x, _ in everything], left + 8, right - 8, log=True)
    up = padded_scale([y for _, y in everything], bottom, top, zero=True)
    drawn = {m: [(across(x), up(y)) for x, y in curve] for m, curve in runs.items()}
    styles = line_styles([*runs])
    parts = [vertical_axis(up, left, right, y_name), horizontal_axis(across, top, bottom, "epoch")]
    parts += [polyline(drawn[m], f"path {method_class(m)} {styles[m]}".rstrip()) for m in runs]
    positions = spread_apart([drawn[method][-1][1] for method in runs], GAP, top, bottom)
    for method, y in zip(runs, positions):
        parts.append(leader_label(method, drawn[method][-1], right + LEADER, y, styles[method]))
        parts.append(_key(method, right + LEADER, y, styles[method]))
    parts += [_best(m, curve, across, up, styles[m]) for m, curve in runs.items()]
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


# Labels, connected to the ends of lines.


GAP = 14.0  # from one name to the next below it


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


# Forest plots.


ROW = 26.0
NUMBERS = 150.0  # room for a difference and its interval
WIDTH = 480.0


@dataclass(frozen=True)
class Interval:
    """A row of a forest plot."""

    label: str
    value: float
    low: float
    high: float
    numbers: str  # the text beside the interval
    css: str  # of the mark: ours, paper or reference
    hollow: bool
    pale: tuple[float, float]  # the bar behind the mark


def forest(name: str, metric: str, setting: str, tests: Sequence[Comparison]) -> Figure:
    """EnhancedGenRec minus each baseline in one metric, the largest difference first.

    A filled mark has a Holm-adjusted p below 0.05. The pale bar behind a mark holds the differences
    that this many users cannot detect: half its width is found with 80 % power.
    """
    tests = sorted(tests, key=lambda test: -test.difference)
    rows = [
        Interval(
            test.baseline, test.difference, test.low, test.high,
            f"{test.difference:+.3f} [{test.low:+.3f}, {test.high:+.3f}]",
            method_class(test.baseline), not test.significant,
            (-test.smallest_detectable, test.smallest_detectable),
        )
        for test in tests
    ]  # fmt: skip
    hints = [f"Holm p {test.p_holm:.2g}, {test.users} users" for test in tests]
    described = "; ".join(
        f"{row.label} {row.numbers}{', may be chance' if row.hollow else ''}" for row in rows
    )
    return _forest(
        name, f"{metric}: {OURS} minus each baseline, {setting}",
        f"Forest plot, {setting}: {metric} of {OURS} minus that of each baseline, with 95 % "
        f"intervals. {described}.", f"{OURS} minus the method, {metric}", rows, hints,
    )  # fmt: skip


def pooled_forest(name: str, metric: str, gains: Gains) -> Figure | None:
    """The log-ratio on each data set, and the pooled one with its prediction interval.

    None where nothing is pooled. The pale bar of the pooled row is the prediction interval.
    """
    if (pooled := gains.pooled) is None:
        return None
    rows = []
    for dataset, (ratio, variance) in gains.log_ratios.items():
        half = NORMAL_95 * variance**0.5
        ends = (ratio - half, ratio + half)
        rows.append(Interval(dataset, ratio, *ends, gain_text(ratio, *ends), "paper",
                             ends[0] < 0 < ends[1], (0.0, 0.0)))  # fmt: skip
    numbers = gain_text(pooled.effect, pooled.low, pooled.high)
    predicted = (pooled.predicted_low, pooled.predicted_high)
    rows.append(Interval("Pooled", pooled.effect, pooled.low, pooled.high, numbers, "ours",
                         pooled.p >= LEVEL, predicted))  # fmt: skip
    hints = [f"against {method}" for method in gains.compared_with.values()]
    described = "; ".join(f"{row.label} {row.numbers}" for row in rows)
    return _forest(
        name, f"{metric}: {OURS} over {gains.over}",
        f"Forest plot: gain of {OURS} over {gains.over} in {metric}, on each data set and pooled. "
        f"{described}.", f"log of the ratio, {metric}", rows,
        [*hints, f"new data set: {gain_text(pooled.effect, *predicted)}"],
    )  # fmt: skip


def _forest(
    name: str, title: str, alt: str, axis: str, rows: Sequence[Interval], hints: Sequence[str]
) -> Figure:
    left = width_of([row.label for row in rows]) + 12
    ends = [x for row in rows for x in (row.low, row.high)]
    ends += [x for row in rows if row.css != "ours" for x in row.pale]
    scale = padded_scale([0.0, *ends], left, WIDTH - NUMBERS)
    top, bottom = 8.0, 8.0 + ROW * len(rows)
    parts = [horizontal_axis(scale, top, bottom, axis, signed=True)]
    parts.append(line(scale(0), top, scale(0), bottom, "zero"))
    for n, (row, hint) in enumerate(zip(rows, hints)):
        y, numbers = top + ROW * (n + 0.5), row.numbers.replace("-", "−")
        start, stop = (scale(min(max(x, scale.low), scale.high)) for x in row.pale)
        parts += [
            text(0, y, row.label),
            rectangle(start, y - 5, stop - start, 10, "pale"),
            line(scale(row.low), y, scale(row.high), y, f"interval {row.css}"),
            marker(scale(row.value), y, row.css, f"{row.label}: {numbers}, {hint}",
                   hollow=row.hollow),
            text(WIDTH, y, numbers, "quiet", "end"),
        ]  # fmt: skip
    return Figure(name, title, alt, WIDTH, bottom + 40, "".join(parts))
