"""Full against sampled ranking: the same runs, the same lists, three very different numbers."""

from __future__ import annotations

from llm4rec_recbole.reporting.figures.label_placement import (
    GAP,
    label_class,
    leader_label,
    spread_apart,
)
from llm4rec_recbole.reporting.figures.svg import (
    Figure,
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

SHOWN = {"full": "all items", "pop100": "100 popular", "uni100": "100 uniform"}
WIDTH, HEIGHT = 480.0, 380.0
TIE = 24.0  # room for the lines from a run's last mark to its name


def rankings(name: str, section: AccuracySection, metric: str, shown: str) -> Figure | None:
    """`metric` of every run, called `shown`, in each ranking; None where nothing has run.

    The band is the range of the paper's own numbers on the data set that this one stands in for.
    """
    rows = sorted((r for r in section.rows if r.ours), key=lambda r: r.ours["uni100", metric])
    if not rows:
        return None
    printed = [float(row.paper[metric]) for row in section.rows if metric in row.paper]
    values = [row.ours[ranking, metric] for row in rows for ranking in SHOWN]
    labels = [f"{row.method} {row.ours['uni100', metric]:.3f}" for row in rows]
    left, right = 34.0, WIDTH - width_of(labels) - TIE
    top, bottom = 34.0, HEIGHT - 30
    scale = padded_scale([0.0, *values, *printed], bottom, top, zero=True)
    step = (right - left - 36) / (len(SHOWN) - 1)
    columns = {ranking: left + 26 + step * n for n, ranking in enumerate(SHOWN)}
    parts = []
    if printed:
        low, high = min(printed), max(printed)
        parts.append(rectangle(left, scale(high), right - left, scale(low) - scale(high), "band"))
    parts.append(vertical_axis(scale, left, right, shown))
    if printed:
        said = f"the paper: {low:.3f} to {high:.3f}"
        parts.append(text(left + 6, (scale(low) + scale(high)) / 2, said, "quiet"))
    for ranking, x in columns.items():
        parts.append(text(x, HEIGHT - 16, SHOWN[ranking], "tick", "middle"))
    places = spread_apart([scale(r.ours["uni100", metric]) for r in rows], GAP, top, bottom)
    for row, label, y in zip(rows, labels, places):
        points = [(x, scale(row.ours[ranking, metric])) for ranking, x in columns.items()]
        parts.append(polyline(points, f"path {method_class(row.method)}"))
        parts += [
            marker(
                x, y_, method_class(row.method), f"{row.method}: {row.ours[ranking, metric]:.3f}"
            )
            for (x, y_), ranking in zip(points, columns)
        ]
        parts.append(leader_label(row.method, points[-1], right + TIE, y))
        parts.append(text(right + TIE, y, label, label_class(row.method)))
    return Figure(
        name=name,
        title=f"{shown} of the same runs, ranked among all items and among 100 sampled ones",
        alt=_alt(section, rows, metric, shown, printed),
        width=WIDTH,
        height=HEIGHT,
        body="".join(parts),
    )


def _alt(
    section: AccuracySection, rows: list[Row], metric: str, shown: str, printed: list[float]
) -> str:
    ranges = []
    for ranking, name in SHOWN.items():
        values = [row.ours[ranking, metric] for row in rows]
        ranges.append(f"{min(values):.3f} to {max(values):.3f} among {name}")
    paper = f" The paper prints {min(printed):.3f} to {max(printed):.3f}." if printed else ""
    return (
        f"{shown} of {len(rows)} methods on {section.dataset}, {section.protocol}: "
        f"{', '.join(ranges)} negatives.{paper}"
    ).replace("all items negatives", "all items")
