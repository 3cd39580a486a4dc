"""Axes: from values to px, and round numbers to label them with."""

from __future__ import annotations

import math
from dataclasses import dataclass

from llm4rec_recbole.reporting.figures.svg import line, text


@dataclass(frozen=True)
class Scale:
    """Values low..high, low < high, over start..stop px; logarithmic ones are above 0."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, v = (self._f(x) for x in (self.low, self.high, value))
        return self.start + (self.stop - self.start) * (v - low) / (high - low)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values within the scale, some `about` of them."""
        if self.log and self.high > 4 * self.low:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            few = math.log10(self.high / self.low) < 2
            found = [m * 10.0**d for d in decades for m in ((1, 2, 5) if few else (1,))]
            return [v for v in found if self.low <= v <= self.high]
        raw = (self.high - self.low) / about
        size = 10 ** math.floor(math.log10(raw))
        step = next(m * size for m in (1, 2, 5, 10) if m * size >= raw)
        first = math.ceil(self.low / step - 1e-9)
        return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def _f(self, value: float) -> float:
        return math.log10(value) if self.log else value


def covering(
    values: list[float], start: float, stop: float, *, zero: bool = False, log: bool = False
) -> Scale:
    """A scale over `values`, with some room on both sides; from 0 on where `zero`."""
    low, high = min(values), max(values)
    if log:
        room = max((high / low) ** 0.08, 1.1)
        return Scale(low / room, high * room, start, stop, log=True)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return Scale(0.0 if zero and low >= 0 else low - room, high + room, start, stop)


def label(value: float) -> str:
    """A tick as short as it can be written."""
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 1000 else f"{value:.6g}"


def named_ticks(scale: Scale) -> list[tuple[float, str]]:
    """The ticks with what stands beside them: all with as many decimals, but for 0 and powers."""
    ticks = scale.ticks()
    names = [label(tick) for tick in ticks]
    if not scale.log and (decimals := max((len(n.partition(".")[2]) for n in names), default=0)):
        names = [f"{tick:.{decimals}f}" for tick in ticks]
    return [
        (tick, "0" if abs(tick) <= 1e-12 else name.replace("-", "−"))
        for tick, name in zip(ticks, names)
    ]


def horizontal_axis(
    scale: Scale, top: float, bottom: float, name: str, signed: bool = False
) -> str:
    """Grid lines, tick labels below `bottom`, and the axis' name below these."""
    parts = []
    for tick, shown in named_ticks(scale):
        shown = f"+{shown}" if signed and tick > 1e-12 else shown
        parts.append(line(scale(tick), top, scale(tick), bottom, "grid"))
        parts.append(text(scale(tick), bottom + 12, shown, "tick", "middle"))
    parts.append(text((scale.start + scale.stop) / 2, bottom + 30, name, "axis", "middle"))
    return "".join(parts)


def vertical_axis(scale: Scale, left: float, right: float, name: str) -> str:
    """Grid lines, tick labels left of `left`, and the axis' name above the topmost."""
    parts = [text(0, scale.stop - 16, name, "axis")]
    for tick, shown in named_ticks(scale):
        parts.append(line(left, scale(tick), right, scale(tick), "grid"))
        parts.append(text(left - 6, scale(tick), shown, "tick", "end"))
    return "".join(parts)
