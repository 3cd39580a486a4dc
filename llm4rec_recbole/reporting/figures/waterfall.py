"""The ablation as a waterfall, turned on its side so that the names can be read.

Baseline (GenRec)        ▏
+ Multimodal Fusion      ▉▉──        a bar from the row above to this row, and the interval
+ Retrieval Augment.       ▉───      of that difference around the bar's end
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llm4rec_recbole.reporting.figures.svg import (
    Figure,
    Scale,
    horizontal_axis,
    line,
    marker,
    padded_scale,
    rectangle,
    text,
    width_of,
)
from llm4rec_recbole.reporting.tables.rows import Column, Row

ROW = 26.0
WIDTH, NUMBERS = 480.0, 150.0


@dataclass(frozen=True)
class Step:
    """One configuration: its value, None where it has no run, and what it is compared with."""

    label: str
    value: float | None
    before: float | None = None  # value of the row that it is compared with
    low: float | None = None  # interval of the difference
    high: float | None = None

    @property
    def numbers(self) -> str:
        """What stands beside the bar."""
        if self.value is None:
            return "not run"
        if self.before is None:
            return f"{self.value:.3f}"
        shown = f"{self.value - self.before:+.3f}"
        if self.low is not None and self.high is not None:
            shown += f" [{self.low:+.3f}, {self.high:+.3f}]"
        return shown.replace("-", "−")


def printed_steps(rows: Sequence[Row], metric: str) -> list[Step]:
    """The paper's own rows, which have no intervals; empty without its numbers."""
    values = [float(row.paper[metric]) for row in rows if metric in row.paper]
    if len(values) < len(rows):
        return []
    before = [None, *values[:-2], values[0]]
    return [Step(row.label, value, b) for row, value, b in zip(rows, values, before)]


def measured_steps(rows: Sequence[Row], column: Column) -> list[Step]:
    """Our rows of Table IV."""
    steps = []
    for row in rows:
        value = row.ours.get(column) if row.records else None
        test = row.tests.get(column)
        if value is None or test is None:
            steps.append(Step(row.label, value))
        else:
            steps.append(Step(row.label, value, value - test.difference, test.low, test.high))
    return steps


def waterfall(name: str, title: str, metric: str, steps: Sequence[Step], kind: str) -> Figure:
    """One bar for each step, the last one from the first row to the whole; kind: ours or paper."""
    left = width_of([step.label for step in steps]) + 10
    ends = [x for step in steps for x in _ends(step)]
    scale = padded_scale(ends or [0.0, 1.0], left, WIDTH - NUMBERS)
    top, bottom = 8.0, 8.0 + ROW * len(steps)
    parts = [horizontal_axis(scale, top, bottom, metric)]
    for n, step in enumerate(steps):
        parts.append(_row(step, top + ROW * (n + 0.5), scale, kind))
    said = "; ".join(f"{step.label}: {step.numbers}" for step in steps)
    return Figure(
        name=name,
        title=title,
        alt=f"Waterfall, {title}, {metric}. {said}.",
        width=WIDTH,
        height=bottom + 40,
        body="".join(parts),
    )


def _ends(step: Step) -> list[float]:
    found = [x for x in (step.value, step.before) if x is not None]
    if step.before is not None and step.low is not None and step.high is not None:
        found += [step.before + step.low, step.before + step.high]
    return found


def _row(step: Step, y: float, scale: Scale, kind: str) -> str:
    parts = [text(0, y, step.label, "" if step.value is not None else "quiet")]
    if step.value is not None:
        if step.before is not None:
            start = scale(step.before)
            parts.append(rectangle(start, y - 7, scale(step.value) - start, 14, f"bar {kind}"))
            if step.low is not None and step.high is not None:
                ends = scale(step.before + step.low), scale(step.before + step.high)
                parts.append(line(ends[0], y, ends[1], y, "zero"))
        else:
            parts.append(marker(scale(step.value), y, kind))
    parts.append(text(WIDTH, y, step.numbers, "quiet", "end"))
    return "".join(parts)
