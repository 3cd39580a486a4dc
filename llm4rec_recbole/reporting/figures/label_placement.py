"""Labels in a figure: next to a point, or connected to the end of a line."""

from __future__ import annotations

from statistics import fmean

from llm4rec_recbole.reporting.figures.svg import line, method_class, text, width_of

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
