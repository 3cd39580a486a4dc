"""The figures of the page are made of the numbers that their titles and axes name."""

from __future__ import annotations

import html
import re

import pytest

from llm4rec_recbole.reporting.page import report
from tests.helpers.fake_rows import comparison, row, section


def hints(made: str) -> list[str]:
    """What the marks of all figures say under the pointer."""
    return [html.unescape(found) for found in re.findall(r"<title>(.*?)</title>", made)]


def test_differences_are_those_from_each_baseline():
    test = comparison("P5", -0.048, -0.064, -0.033)
    made = report.differences(section(row("P5", 0.066, test=test), row("SASRec", 0.114)))
    assert "P5: −0.048 [−0.064, −0.033], Holm p 0.01, 943 users" in hints(made)
    assert "EnhancedGenRec minus the method, NDCG@10" in made
    assert "HR@10" not in made  # it has no test here


@pytest.mark.parametrize(("place", "name", "value"), [(0, "NDCG@10", 0.066), (1, "HR@10", 0.116)])
def test_each_rankings_figure_shows_the_metric_it_is_titled_with(place, name, value):
    made = report.protocols(section(row("P5", 0.066)))
    figure = made.split("<figure")[1:][place]
    assert f"<h4>{name} of the same runs" in figure
    assert hints(figure)[0] == f"P5: {value:.3f}"


def test_training_curves_are_those_of_the_first_seed():
    history = [(1.0, 0.02), (5.0, 0.061), (9.0, 0.05)]
    made = report.training(section(row("P5", 0.066, history=history), row("Pop", 0.044)))
    assert hints(made) == ["P5: 0.0610 after epoch 5 of 9"]
