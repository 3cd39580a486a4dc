"""The roofline: what is counted as a product, and what follows from its share."""

from __future__ import annotations

import time

import pytest
import torch

from benchmarks.performance import roofline


def test_only_products_count_as_products() -> None:
    a = torch.ones(200, 300)
    products = roofline.profiled("products", lambda: [a @ a.T for _ in range(20)])
    assert products.share > 0.5
    assert products.gflop == pytest.approx(20 * 2 * 200 * 200 * 300 / 1e9)
    assert products.bound == 1 / products.share
    both = roofline.profiled("both", lambda: [(a @ a.T).exp_().sum() for _ in range(20)])
    assert both.share < products.share
    assert both.gflop == products.gflop


def test_attention_counts_as_products_and_gflop_leaves_it_out() -> None:
    q = torch.ones(1, 2, 64, 32)

    def work() -> None:
        torch.nn.functional.scaled_dot_product_attention(q, q, q)
        q.view(-1, 32) @ q.view(-1, 32).T

    found = roofline.profiled("attention", work)
    assert 0 < found.share <= 1
    assert found.gflop == pytest.approx(2 * 128 * 128 * 32 / 1e9)


def test_what_is_timed_is_the_second_go() -> None:
    took = iter((0.2, 0.01, 0.0))

    def work() -> None:
        torch.ones(9, 9) @ torch.ones(9, 9)
        time.sleep(next(took))

    assert 0.01 <= roofline.profiled("sleep", work).seconds < 0.2


def test_the_report() -> None:
    cost = {"what": "BERT4Rec, 60 training steps", "seconds": 2.0, "share": 0.5, "gflop": 30.0}
    cost |= {"gflop_a_second": 40.0}
    measured = {"hardware": "a chip", "threads": 1, "date": "today", "load_average": (0, 0, 0)}
    measured |= {"large": {"float32": 70.0}, "arithmetic": "float32", "costs": [cost]}
    report = roofline.render(measured)
    assert "| BERT4Rec, 60 training steps | 2 | 50% | 2.00 × | 30 | 40 |" in report
    assert "at 70 in float32" in report
