"""The real commands from end to end, at the smoke scale: data, runs, tests, tables, status."""

from __future__ import annotations

import csv
import json

import pytest

from llm4rec_recbole.evaluation.paths import run_stages
from tests.helpers.checkout import Checkout
from tests.helpers.table_from_users import assert_table_1_is_that_of_the_users


@pytest.mark.slow
def test_small_pipeline_end_to_end(checkout: Checkout) -> None:
    checkout.use_real_commands()
    methods = {
        "deterministic": ["Pop"],
        "baseline": ["BPR", "SASRec"],
    }
    params = checkout.write_params(methods=methods)
    output = checkout.make_repro()
    assert "3 of 3 runs done; nothing left" in output
    table = (checkout.folder / "paper_tables" / "table_1.md").read_text()
    assert table in output
    for run in run_stages(params).values():
        record = json.loads((checkout.folder / run.record()).read_text())
        assert 0 < record["metrics"]["test"]["full"]["ndcg@10"] < 1
        assert record["cost"]["epochs"] == 1
    with open(checkout.folder / "paper_tables" / "table_1.csv", encoding="utf-8") as file:
        lines = [*csv.DictReader(file)]
    users = checkout.folder / "results" / "users"
    no_reference = {}  # nothing is compared without EnhancedGenRec
    assert assert_table_1_is_that_of_the_users(lines, users, no_reference) == 3 * 6
    shown = checkout.dvc("metrics", "show")
    assert all(name in shown for name in ("ndcg@10", "loo.Pop", "loo.BPR", "loo.SASRec"))
    assert "3 of 3" in checkout.run("llm4rec", "status")


@pytest.mark.slow
def test_a_data_set_that_is_not_here_stops_no_other(checkout: Checkout) -> None:
    checkout.use_real_commands()
    methods = {"deterministic": ["Pop"]}
    checkout.write_params(datasets=["ml-25m", "ml-100k"], methods=methods)
    output = checkout.make_repro(code=2)
    assert "the data set ml-25m is not here (llm4rec fetch ml-25m)\n" in output
    assert "1 of 2 runs done" in output
    table = (checkout.folder / "paper_tables" / "table_1.md").read_text()
    assert "## ml-100k" in table
    assert "ml-25m" not in table
