"""Training curves: validation NDCG@10 over the epochs, a line a run, named at its end."""

from __future__ import annotations

from llm4rec_recbole.reporting.figures.kinds import kind
from llm4rec_recbole.reporting.figures.scale import covering, horizontal_axis, vertical_axis
from llm4rec_recbole.reporting.figures.svg import Figure, mark, polyline, spread, text, width_of

WIDTH, HEIGHT = 480.0, 330.0
Curve = list[tuple[float, float]]  # epoch, counted from 1, and value


def curves(name: str, title: str, y_name: str, runs: dict[str, Curve]) -> Figure | None:
    """A line for each of `runs`, method -> curve; epochs on a logarithmic axis; None without any.

    The best epoch, the one whose weights are kept, has a mark.
    """
    runs = {method: curve for method, curve in runs.items() if curve}
    if not runs:
        return None
    left, right = 40.0, WIDTH - width_of(list(runs)) - 12
    top, bottom = 26.0, HEIGHT - 40
    everything = [point for curve in runs.values() for point in curve]
    across = covering([x for x, _ in everything], left + 8, right - 8, log=True)
    up = covering([y for _, y in everything], bottom, top, zero=True)
    parts = [vertical_axis(up, left, right, y_name), horizontal_axis(across, top, bottom, "epoch")]
    places = spread([up(curve[-1][1]) for curve in runs.values()], 14, top, bottom)
    said = []
    for (method, curve), y in zip(runs.items(), places):
        points = [(across(epoch), up(value)) for epoch, value in curve]
        best = max(curve, key=lambda point: point[1])
        parts.append(polyline(points, f"path {kind(method)}"))
        hint = f"{method}: {best[1]:.4f} after epoch {best[0]:g} of {curve[-1][0]:g}"
        parts.append(mark(across(best[0]), up(best[1]), kind(method), hint))
        parts.append(text(right + 6, y, method, "ours" if kind(method) == "ours" else ""))
        said.append(f"{method} reaches {best[1]:.3f} after epoch {best[0]:g}")
    return Figure(
        name=name,
        title=title,
        alt=f"Line plot, {title}. {'; '.join(said)}.",
        width=WIDTH,
        height=HEIGHT,
        body="".join(parts),
    )
