"""Differences with intervals: forest plots of Table I, waterfall of Table IV.

Forest     a row per baseline: EnhancedGenRec minus the baseline, with its interval
           SASRec   |      ░░░░░──●──░░ |   +0.013 [+0.001, +0.025]

Waterfall  a row per configuration: a bar from the row above to this row, and the interval of that
           difference around the end of the bar
           + Multimodal Fusion      ▉▉──
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llm4rec_recbole.analysis.paired_tests import Comparison
from llm4rec_recbole.analysis.paper.paper_tables import OURS
from llm4rec_recbole.analysis.pooling import Gains, gain_text
from llm4rec_recbole.analysis.significance import LEVEL, NORMAL_95
from llm4rec_recbole.reporting.figures import svg
from llm4rec_recbole.reporting.tables.rows import Column, Row

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


def forest(name: str, metric: str, setting: str, tests: Sequence[Comparison]) -> svg.Figure:
    """EnhancedGenRec minus each baseline in one metric, the largest difference first.

    A filled mark has a Holm-adjusted p below 0.05. The pale bar behind a mark holds the differences
    that this many users cannot detect: half its width is found with 80 % power.
    """
    tests = sorted(tests, key=lambda test: -test.difference)
    rows = [
        Interval(
            test.baseline, test.difference, test.low, test.high,
            f"{test.difference:+.3f} [{test.low:+.3f}, {test.high:+.3f}]",
            svg.method_class(test.baseline), not test.significant,
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


def pooled_forest(name: str, metric: str, gains: Gains) -> svg.Figure | None:
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
) -> svg.Figure:
    left = svg.width_of([row.label for row in rows]) + 12
    ends = [x for row in rows for x in (row.low, row.high)]
    ends += [x for row in rows if row.css != "ours" for x in row.pale]
    scale = svg.padded_scale([0.0, *ends], left, WIDTH - NUMBERS)
    top, bottom = 8.0, 8.0 + ROW * len(rows)
    parts = [svg.horizontal_axis(scale, top, bottom, axis, signed=True)]
    parts.append(svg.line(scale(0), top, scale(0), bottom, "zero"))
    for n, (row, hint) in enumerate(zip(rows, hints)):
        y, numbers = top + ROW * (n + 0.5), row.numbers.replace("-", "−")
        start, stop = (scale(min(max(x, scale.low), scale.high)) for x in row.pale)
        parts += [
            svg.text(0, y, row.label),
            svg.rectangle(start, y - 5, stop - start, 10, "pale"),
            svg.line(scale(row.low), y, scale(row.high), y, f"interval {row.css}"),
            svg.marker(scale(row.value), y, row.css, f"{row.label}: {numbers}, {hint}",
                   hollow=row.hollow),
            svg.text(WIDTH, y, numbers, "quiet", "end"),
        ]  # fmt: skip
    return svg.Figure(name, title, alt, WIDTH, bottom + 40, "".join(parts))


@dataclass(frozen=True)
class Step:
    """One configuration: its value, None where it has no run, and the value it is compared with."""

    label: str
    value: float | None
    before: float | None = None  # value of the row that it is compared with
    low: float | None = None  # interval of the difference
    high: float | None = None

    @property
    def numbers(self) -> str:
        """The text beside the bar."""
        if self.value is None:
            return "not run"
        if self.before is None:
            return f"{self.value:.3f}"
        difference = f"{self.value - self.before:+.3f}"
        if self.low is not None and self.high is not None:
            difference += f" [{self.low:+.3f}, {self.high:+.3f}]"
        return difference.replace("-", "−")


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


def waterfall(name: str, title: str, metric: str, steps: Sequence[Step], kind: str) -> svg.Figure:
    """One bar for each step, the last one from the first row to the whole; kind: ours or paper."""
    left = svg.width_of([step.label for step in steps]) + 10
    ends = []
    for step in steps:
        ends += [x for x in (step.value, step.before) if x is not None]
        if step.before is not None and step.low is not None and step.high is not None:
            ends += [step.before + step.low, step.before + step.high]
    scale = svg.padded_scale(ends or [0.0, 1.0], left, WIDTH - NUMBERS)
    top, bottom = 8.0, 8.0 + ROW * len(steps)
    parts = [svg.horizontal_axis(scale, top, bottom, metric)]
    for n, step in enumerate(steps):
        parts.append(_waterfall_row(step, top + ROW * (n + 0.5), scale, kind))
    described = "; ".join(f"{step.label}: {step.numbers}" for step in steps)
    alt = f"Waterfall, {title}, {metric}. {described}."
    return svg.Figure(name, title, alt, WIDTH, bottom + 40, "".join(parts))


def _waterfall_row(step: Step, y: float, scale: svg.Scale, kind: str) -> str:
    parts = [svg.text(0, y, step.label, "" if step.value is not None else "quiet")]
    if step.value is not None:
        if step.before is not None:
            start = scale(step.before)
            parts.append(svg.rectangle(start, y - 7, scale(step.value) - start, 14, f"bar {kind}"))
            if step.low is not None and step.high is not None:
                ends = scale(step.before + step.low), scale(step.before + step.high)
                parts.append(svg.line(ends[0], y, ends[1], y, "zero"))
        else:
            parts.append(svg.marker(scale(step.value), y, kind))
    parts.append(svg.text(WIDTH, y, step.numbers, "quiet", "end"))
    return "".join(parts)
