from __future__ import annotations

import json

import pytest

from benchmarks.performance.measurements import time_to
from benchmarks.report import goals, number, render, table


def _row(who, model, rows, targets, epoch):
    return {
        "who": who,
        "model": model,
        "rows_per_second": rows,
        "targets_per_second": targets,
        "targets_per_epoch": targets * epoch,
        "seconds_per_epoch": epoch,
        "versions": {"python": "3.11.7", "torch": "2.13.0"},
    }


@pytest.fixture
def measured():
    curve = [
        {"epoch": 5, "seconds": 10.0, "valid": 0.08, "test": 0.07},
        {"epoch": 10, "seconds": 20.0, "valid": 0.11, "test": 0.101},
        {"epoch": 15, "seconds": 30.0, "valid": 0.10, "test": 0.105},
    ]
    peer = {"epochs": 300, "seconds": 500.0, "ndcg@10": 0.1}
    return {
        "quick": False,
        "started": "2030-01-02 03:04",
        "threads": 2,
        "machine": {"cpu": "a CPU", "cores": 2, "load_average": [0.1, 0.2, 0.3]},
        "training": [
            _row("stock RecBole", "BERT4Rec", 300, 1300, 320),
            _row("RecTools", "BERT4Rec", 500, 3000, 2),
            _row("ours", "BERT4Rec", 700, 31000, 4),
            _row("stock RecBole", "SASRec", 400, 400, 240),
            _row("RecTools", "SASRec", 600, 27000, 2),
            _row("ours", "SASRec", 800, 40500, 3),
        ],
        "evaluation": [
            {"who": "stock RecBole", "rankings": ["uni100"], "users": 943, "seconds": 54.0,
             "versions": {"python": "3.11.7"}},
            {"who": "ours", "rankings": ["full", "uni100", "pop100"], "users": 943, "seconds": 0.6,
             "versions": {"python": "3.11.7"}},
        ],
        "start_up": [
            {"who": "stock RecBole", "seconds": [25.0], "median": 25.0},
            {"who": "ours", "seconds": [7.0, 9.5, 8.5], "median": 8.5},
        ],
        "quality": {"model": "BERT4Rec", "peer": peer, "ours": {"curve": curve}}
        | time_to(peer, curve),
    }  # fmt: skip


def test_a_table_is_markdown_with_numbers_flush_right():
    assert table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


@pytest.mark.parametrize(
    ("value", "written"), [(0.1234, "0.123"), (3.0, "3"), (54.26, "54.3"), (31234.5, "31,234")]
)
def test_numbers_are_written_for_reading(value, written):
    assert number(value) == written


def test_every_requirement_is_judged_by_what_was_measured(measured):
    judged = {row[0].split(",")[0]: row[2:] for row in goals(measured)}
    assert judged == {
        "BERT4Rec training": ["103 ×", "yes"],  # 31000 targets to 300 rows
        "SASRec training": ["1.5 ×", "no"],
        "evaluation": ["90 ×", "yes"],
        "command to first training step": ["8.5 s", "no"],
        "seconds to RecTools' test NDCG@10": ["0.04", "yes"],
    }


def test_the_quality_is_reached_at_the_first_validation_that_has_it(measured):
    assert measured["quality"]["reached"]["epoch"] == 10
    assert measured["quality"]["best_on_validation"]["epoch"] == 10


def test_a_quality_that_is_never_reached_is_reported(measured):
    quality = measured["quality"]
    quality["peer"]["ndcg@10"] = 0.2
    quality |= time_to(quality["peer"], quality["ours"]["curve"])
    assert goals(measured)[-1][2:] == ["not reached", "no"]
    assert "| ours, the peer's test NDCG@10 reached | not reached | – | – |" in render(measured)


def test_the_report_compares_each_implementation_with_ours(measured):
    report = render(measured)
    assert "| BERT4Rec | stock RecBole | 300 | 1,300 | 416,000 | 320 | 23.8 × | 80.0 × |" in report
    assert "a CPU, 2 cores, 2 threads, load average 0.1, 0.2, 0.3" in report
    assert "quick" not in report


def test_a_part_that_was_not_measured_is_left_out(measured):
    del measured["training"], measured["quality"]
    report = render(measured)
    assert "Training throughput" not in report
    assert [row[0] for row in goals(measured)] == [
        "evaluation, three rankings to stock's one",
        "command to first training step",
    ]


def test_a_quick_run_says_that_its_numbers_mean_nothing(measured):
    assert "its numbers mean nothing" in render(measured | {"quick": True})


def test_the_report_can_be_made_again_from_the_json(measured):
    assert render(json.loads(json.dumps(measured))) == render(measured)
