"""What is drawn stands where its numbers say, and differs from what is drawn beside it."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from llm4rec_recbole.reporting.figures.plots import curves, forest, rankings, spread_apart
from llm4rec_recbole.reporting.figures.svg import DASHES, HUES, STYLE, line_styles, width_of
from tests.helpers.fake_rows import comparison, row, section
from tests.helpers.svg_asserts import Drawn, middle, number, points

TESTS = [
    comparison("P5", -0.048, -0.064, -0.033, smallest_detectable=0.021),
    comparison("SASRec", 0.016, 0.003, 0.041, p_holm=0.28, smallest_detectable=0.025),
    comparison("RecencyEASE", -0.070, -0.188, -0.051, p_holm=0.05, smallest_detectable=0.031),
]
RUNS = {
    "P5": [(2.0, 0.040), (4.0, 0.069), (8.0, 0.087)],
    "EnhancedGenRec": [(1.0, 0.136), (2.0, 0.151), (6.0, 0.148)],
    "Pop": [(1.0, 0.034)],
    "SASRec": [(5.0, 0.101), (55.0, 0.128), (100.0, 0.118)],
    "BERT4Rec": [(5.0, 0.078), (125.0, 0.126), (170.0, 0.117)],
    "BPR": [(2.0, 0.048), (26.0, 0.073), (48.0, 0.064)],
}
PRECISION = 0.0008  # of a value read back: a tenth of a px, and ticks rounded to it


def close(found: float, wanted: float, precision: float = PRECISION) -> bool:
    return abs(found - wanted) <= precision


def test_a_forest_plot_has_each_difference_its_interval_and_what_could_not_be_seen():
    drawn = Drawn(forest("f", "NDCG@10", "ml-100k, loo", TESTS))
    value, marks = drawn.across(), drawn.marks()
    for test in TESTS:
        x, y = middle(marks[test.baseline])
        assert close(value(x), test.difference)
        (interval,) = (e for e in drawn.each("line", "interval") if close(number(e, "y1"), y))
        assert close(value(number(interval, "x1")), test.low)
        assert close(value(number(interval, "x2")), test.high)
        (pale,) = (e for e in drawn.each("rect", "pale") if close(number(e, "y") + 5, y))
        left = number(pale, "x")
        assert close(value(left), -test.smallest_detectable)
        assert close(value(left + number(pale, "width")), test.smallest_detectable)
        assert close(number(drawn.names()[test.baseline], "y"), y)
        assert width_of([test.baseline]) < number(interval, "x1") < number(interval, "x2") < 331
    (zero,) = drawn.each("line", "zero")
    assert close(value(number(zero, "x1")), 0)


def test_a_forest_plot_says_the_same_in_words_best_first():
    drawn = Drawn(forest("f", "NDCG@10", "ml-100k, loo", TESTS))
    labels = ["+0.016 [+0.003, +0.041]", "−0.048 [−0.064, −0.033]", "−0.070 [−0.188, −0.051]"]
    written = [*drawn.names()]
    assert [text for text in written if "[" in text] == labels
    assert "SASRec +0.016 [+0.003, +0.041], may be chance; P5 -0.048" in drawn.alt
    heights = [middle(mark)[1] for mark in drawn.marks().values()]
    assert heights == sorted(heights)
    assert [*drawn.marks()] == ["SASRec", "P5", "RecencyEASE"]


def test_only_significant_differences_are_filled():
    marks = Drawn(forest("f", "NDCG@10", "ml-100k, loo", TESTS)).marks()
    hollow = {method for method, mark in marks.items() if "hollow" in (mark.get("class") or "")}
    assert hollow == {"SASRec", "RecencyEASE"}


@pytest.mark.parametrize("metric", ["ndcg@10", "hit@10"])
def test_a_run_is_drawn_at_its_value_in_each_ranking(metric):
    rows = [row("P5", 0.066), row("EnhancedGenRec", 0.13), row("Pop", 0.044), row("SASRec")]
    drawn = Drawn(rankings("r", section(*rows), metric, "shown"))
    value = drawn.up()
    columns = {e.text: number(e, "x") for e in drawn.each("text", "tick")}
    lines = {points(line)[-1]: line for line in drawn.each("polyline", "path")}
    ties = {(number(e, "x1"), number(e, "y1")): number(e, "y2")
            for e in drawn.each("line", "leader")}  # fmt: skip
    for each in rows[:3]:
        name = f"{each.method} {each.ours['uni100', metric]:.3f}"
        height = number(drawn.names()[name], "y")
        (end,) = (place for place, y in ties.items() if y == height)
        for (x, y), (ranking, shown) in zip(
            points(lines[end]),
            {"full": "all items", "pop100": "100 popular", "uni100": "100 uniform"}.items(),
        ):
            assert close(x, columns[shown], 0.1)
            assert close(value(y), each.ours[ranking, metric], 0.002)
            assert f"{each.method}: {each.ours[ranking, metric]:.3f}" in drawn.hints()
    assert len(lines) == len(ties) == 3


def test_the_papers_band_is_its_smallest_to_its_largest_number():
    rows = [row("P5", 0.066), row("EnhancedGenRec", 0.13), row("GenRec")]
    drawn = Drawn(rankings("r", section(*rows), "hit@10", "HR@10"))
    (band,) = drawn.each("rect", "band")
    value, top = drawn.up(), number(band, "y")
    assert close(value(top), 0.724, 0.002)
    assert close(value(top + number(band, "height")), 0.692, 0.002)
    assert "the paper: 0.692 to 0.724" in drawn.names()


def test_a_training_curve_runs_through_its_history_and_has_its_best_epoch_marked():
    drawn = Drawn(curves("c", "a title", "NDCG@10", RUNS))
    across, up, marks = drawn.across(log=True), drawn.up(), drawn.marks()
    whole = [line for line in drawn.each("polyline", "path") if len(points(line)) > 2]
    for line, (_, curve) in zip(whole, ((m, c) for m, c in RUNS.items() if len(c) > 1)):
        for (x, y), (epoch, score) in zip(points(line), curve, strict=True):
            assert close(across(x), epoch, 0.02 * epoch)
            assert close(up(y), score)
    assert {*marks} == {*RUNS} - {"Pop"}  # validated once
    for method, curve in ((m, RUNS[m]) for m in marks):
        x, y = middle(marks[method])
        epoch, score = max(curve, key=lambda point: point[1])
        assert close(across(x), epoch, 0.02 * epoch)
        assert close(up(y), score)
    assert "SASRec reaches 0.128 after epoch 55; BERT4Rec reaches 0.126 after epoch" in drawn.alt


def test_each_training_curve_is_tied_to_its_name_and_repeated_beside_it():
    drawn = Drawn(curves("c", "a title", "NDCG@10", RUNS))
    lines = {points(e)[-1]: e for e in drawn.each("polyline", "path") if len(points(e)) > 2}
    keys = {points(e)[0]: e for e in drawn.each("polyline", "path") if len(points(e)) == 2}
    ends = {m: (c[-1]) for m, c in RUNS.items() if len(c) > 1}
    across, up = drawn.across(log=True), drawn.up()
    assert len(lines) == len(keys) == len(drawn.each("line", "leader")) == len(ends)
    for tie in drawn.each("line", "leader"):
        end, y = (number(tie, "x1"), number(tie, "y1")), number(tie, "y2")
        (name,) = (m for m in ends if number(drawn.names()[m], "y") == y)
        assert close(across(end[0]), ends[name][0], 0.02 * ends[name][0])
        assert close(up(end[1]), ends[name][1])
        (key,) = (e for place, e in keys.items() if place[1] == y)
        assert key.get("class") == lines[end].get("class")
    assert len({line.get("class") for line in lines.values()}) == len(lines)


def test_lines_differ_in_dashes_as_well_as_in_colour_and_ours_has_its_own():
    methods = [f"M{n}" for n in range(min(HUES, DASHES))]
    styles = [style.split() for style in line_styles(methods).values()]
    for a, b in combinations(styles, 2):
        assert a[0] != b[0]
        assert a[1] != b[1]
    many = line_styles([f"M{n}" for n in range(HUES * DASHES)])
    assert len(set(many.values())) == HUES * DASHES
    assert line_styles(["P5", "EnhancedGenRec"])["EnhancedGenRec"] == ""


def test_every_line_style_is_drawn_differently():
    css = STYLE.read_text(encoding="utf-8")
    dashes = re.findall(r"\.path\.dash(\d) { stroke-dasharray: ([\d. ]+); }", css)
    assert [int(n) for n, _ in dashes] == [*range(1, DASHES)]  # the first is a whole line
    assert len({dash for _, dash in dashes}) == DASHES - 1
    for n in range(HUES):
        assert f".figure .path.hue{n}, .figure .leader.hue{n} {{ stroke: var(--hue{n}); }}" in css


def test_lines_can_be_seen_on_light_dark_and_printed_pages():
    """A contrast of 3 or more, as WCAG 1.4.11 asks of graphics; no two colours alike."""
    schemes = re.findall(r"\.figure {\s(.*?)}", STYLE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(schemes) == 3
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#\w+);", scheme))
        hues = [colours[f"hue{n}"] for n in range(HUES)] + [colours["ours"]]
        assert len(set(hues)) == len(hues)
        for hue in hues:
            light, dark = sorted((luminance(hue), luminance(colours["sheet"])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 3, (hue, scheme)


def luminance(colour: str) -> float:
    """Relative luminance of #rgb or #rrggbb, 0 to 1."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    levels = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in levels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("positions", "moved"),
    [
        ([10, 50], [10, 50]),
        ([50, 10], [50, 10]),
        ([30, 30], [23, 37]),
        ([30, 31, 80], [23.5, 37.5, 80]),
        ([2, 3], [0, 14]),
        ([99, 98], [100, 86]),
        ([], []),
    ],
)
def test_names_move_apart_as_little_as_they_have_to(positions, moved):
    assert spread_apart([float(place) for place in positions], 14, 0, 100) == moved
