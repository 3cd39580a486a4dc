"""Forest plot: how far every method is from the best baseline, with its interval.

method   |      ░░░░░──●──░░ |   −0.013 [−0.025, −0.001]
                      0 = best baseline
"""

from __future__ import annotations

from llm4rec_recbole.analysis.compare import LEVEL, Comparison
from llm4rec_recbole.reporting.figures.svg import (
    Figure,
    Scale,
    horizontal_axis,
    line,
    marker,
    method_class,
    padded_scale,
    rectangle,
    text,
    width_of,
)

ROW = 26.0
NUMBERS = 148.0  # room for a difference and its interval
WIDTH = 480.0


def forest(name: str, metric: str, place: str, tests: list[Comparison], best: float) -> Figure:
    """The differences `tests` of one column from its best baseline, whose mean is `best`.

    A filled mark has a Holm-adjusted p below 0.05. The pale bar behind a mark is what this many
    users could not have told from nothing: the smallest difference found with 80 % power.
    """
    rows = sorted(tests, key=lambda test: -test.difference)
    left = width_of([test.method for test in rows]) + 12
    ends = [x for t in rows for x in (t.low, t.high, t.smallest_detectable, -t.smallest_detectable)]
    scale = padded_scale(ends, left, WIDTH - NUMBERS)
    top, bottom = 24.0, 24.0 + ROW * len(rows)
    parts = [horizontal_axis(scale, top, bottom, f"difference in {metric}", signed=True)]
    parts += [_row(test, top + ROW * (n + 0.5), scale) for n, test in enumerate(rows)]
    baseline = f"0 = {rows[0].baseline}, {best:.3f}"
    half = width_of([baseline]) / 2
    parts.insert(1, line(scale(0), top, scale(0), bottom, "zero"))
    parts.append(text(max(half, min(scale(0), WIDTH - half)), 10, baseline, "strong", "middle"))
    said = "; ".join(
        f"{t.method} {t.difference:+.3f} [{t.low:+.3f}, {t.high:+.3f}]"
        f"{'' if t.p_holm < LEVEL else ', may be chance'}"
        for t in rows
    )
    return Figure(
        name=name,
        title=f"{metric} against the best baseline, {place}",
        alt=f"Forest plot, {place}: difference in {metric} from {rows[0].baseline} ({best:.3f}) "
        f"with 95 % intervals. {said}.",
        width=WIDTH,
        height=bottom + 40,
        body="".join(parts),
    )


def _row(test: Comparison, y: float, scale: Scale) -> str:
    its_kind = method_class(test.method)
    unnoticed = scale(test.smallest_detectable) - scale(-test.smallest_detectable)
    numbers = f"{test.difference:+.3f} [{test.low:+.3f}, {test.high:+.3f}]".replace("-", "−")
    hint = f"{test.method}: {numbers}, Holm p {test.p_holm:.2g}, {test.users} users"
    return "".join(
        [
            text(0, y, test.method, "ours" if its_kind == "ours" else ""),
            rectangle(scale(-test.smallest_detectable), y - 5, unnoticed, 10, "pale"),
            line(scale(test.low), y, scale(test.high), y, f"interval {its_kind}"),
            marker(scale(test.difference), y, its_kind, hint, hollow=test.p_holm >= LEVEL),
            text(WIDTH, y, numbers, "quiet", "end"),
        ]
    )
